// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page of a report, as text and in a browser.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::fabricated::{self, Case, HOSTILE};
use common::{checkout, stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;

/// One of each kind, and more.
const CASES: [Case<'static>; 8] = [
    ("reuse", "ext4", Some("holds")),
    ("reuse", "xfs", Some("broken")),
    ("reuse", "ramfs", Some("skipped")),
    ("power-cut", "ext4", Some("cannot-tell")),
    ("power-cut", "xfs", Some("holds")),
    ("power-cut", "ramfs", Some("skipped")),
    ("upper-moved", "ext4", Some("holds")),
    ("upper-moved", "xfs", None),
];

const TALLY: &str = "3 hold, 1 broken, 1 cannot tell, 2 skipped, 1 missing";

struct Reported {
    folder: tempfile::TempDir,
    output: Output,
    html: String,
}

/// Makes the page of what `of` leaves in a folder.
fn report(command: &[&str], of: impl FnOnce(&Path) -> Vec<PathBuf>) -> Reported {
    let folder = tempfile::tempdir().unwrap();
    let paths = of(folder.path());
    let page = folder.path().join("page.html");
    let output = vremount([&["report"], command].concat()).args(paths).arg("-o").arg(&page).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    let html = fs::read_to_string(&page).unwrap();
    Reported { folder, output, html }
}

/// Everything at once: two runs, one that could not start, a bisection, a bench.
fn all() -> Reported {
    report(&["merge"], |folder| {
        let runs = folder.join("runs");
        fabricated::run(&runs, "5.10.13", "uml", &CASES);
        fabricated::run(&runs, HOSTILE, "uml", &CASES[..6]);
        let lost = runs.join("7.2.6-level4-uml");
        fs::create_dir(&lost).unwrap();
        let word = serde_json::json!({
            "base": "7.2.6", "series": "s", "level": 4, "executor": "uml", "cannot_tell": format!("no mirror {HOSTILE}")
        });
        fs::write(lost.join("results.jsonl"), format!("{word}\n")).unwrap();
        fabricated::bisection(&runs, true);
        vec![runs, checkout().join("docs/cost.json")]
    })
}

/// What stands behind each occurrence of `before`, up to the next quotation mark.
fn attributes<'a>(html: &'a str, before: &str) -> Vec<&'a str> {
    html.split(before).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value).collect()
}

fn count(html: &str, class: &str) -> usize {
    html.matches(&format!("<td class=\"{class}\" data-fs=")).count()
}

#[test]
fn one_file_is_all_of_it() {
    let Reported { html, .. } = all();
    let ids = attributes(&html, " id=\"");
    let known: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an anchor is there twice");
    let links = attributes(&html, " href=\"");
    assert!(links.len() > 30);
    for link in links {
        let anchor = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} is elsewhere"));
        assert!(known.contains(anchor), "{link} leads nowhere");
    }
    for load in [" src=", "url(", "@import", "<link", "<iframe", "<object", "xlink:href"] {
        let outside: String = html.replace(&escaped(HOSTILE), "");
        assert!(!outside.contains(load), "{load}");
    }
    assert!(html.contains("<form id=\"filter\" hidden>"), "without scripts there is no filter");
    assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-page'\""));
}

fn escaped(text: &str) -> String {
    let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#x27;"), ("/", "&#x2f;")];
    pairs.iter().fold(text.to_string(), |text, (char, name)| text.replace(char, name))
}

/// In names, reasons, logs of kernels, consoles and titles of commits.
#[test]
fn text_stays_text() {
    let Reported { html, .. } = all();
    assert!(!html.contains("<img"));
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    let hostile = escaped(HOSTILE);
    for around in
        ["overlayfs: ", "overlayfs on ext4: ", "mount: ", "no mirror ", "Version v3 ", "vremount verify --base "]
    {
        assert!(html.contains(&format!("{around}{hostile}")), "{around}");
    }
}

#[test]
fn numbers_are_those_of_the_terminal_and_of_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("json");
    let Reported { output, html, folder: _kept } =
        report(&["--json", json.to_str().unwrap()], |below| vec![fabricated::run(below, "5.10.13", "uml", &CASES)]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(said.contains(&format!("\n{TALLY}\nHTML page: ")), "{said}");
    assert_eq!(html.matches(&format!(">{TALLY}<")).count(), 2, "of all, and of the run");
    let json: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in json["verdicts"].as_array().unwrap() {
        *verdicts.entry(verdict["verdict"].as_str().unwrap()).or_default() += 1;
    }
    verdicts.insert("missing", json["missing"].as_array().unwrap().len());
    assert_eq!(verdicts.len(), 5);
    for (verdict, expected) in verdicts {
        assert_eq!(count(&html, verdict), expected, "{verdict}");
    }
    for fact in ["vremount verify --base 5.10.13", "A &lt;fast&gt; one, 2 processors, Linux 6.1.0", "build b1"] {
        assert!(html.contains(fact), "{fact}");
    }
}

/// Every case that ran has its transcript and its console, wherever the folder is now.
#[test]
fn a_folder_that_was_moved_has_all_its_transcripts() {
    let Reported { html, .. } = report(&[], |below| vec![fabricated::run(below, "5.10.13", "uml", &CASES)]);
    assert_eq!(html.matches("<article class=\"panel\"").count(), 5 + 1, "five that ran, and the boot");
    assert_eq!(html.matches("<b>mount the overlay, volatile =&gt; mounted</b>").count(), 5);
    assert_eq!(html.matches("boot line 19").count(), 1, "what consoles have in common is there once");
    assert_eq!(html.matches("Without 21 lines of").count(), 5);
    assert!(!html.contains("failed to read"));
}

#[test]
fn what_is_gone_is_said() {
    let Reported { html, output, .. } = report(&[], |below| {
        let run = fabricated::run(below, "5.10.13", "uml", &CASES[..1]);
        fs::remove_file(run.join("reuse-ext4.jsonl")).unwrap();
        fs::remove_file(run.join("reuse-ext4.0.console")).unwrap();
        vec![run]
    });
    assert_eq!(output.status.code(), Some(0));
    assert!(html.contains("reuse-ext4.jsonl: No such file") && html.contains("it shared its machine"), "{html}");
}

#[rstest]
#[case::found(true, 0, "first bad revision: v3")]
#[case::interrupted(false, 125, "the bisection was interrupted")]
fn a_bisection_is_told(#[case] ended: bool, #[case] exit: i32, #[case] expected: &str) {
    let Reported { html, output, .. } = report(&[], |below| vec![fabricated::bisection(below, ended)]);
    assert_eq!(output.status.code(), Some(exit));
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
    assert!(html.contains(expected), "{html}");
    assert_eq!(html.contains("<ins>+    refused EINVAL</ins>"), ended, "the transcripts are compared");
    assert!(!html.contains("<form"), "there is nothing to filter");
}

#[test]
fn a_bench_is_told_with_its_curves() {
    let cost = checkout().join("docs/cost.json");
    let Reported { html, output, .. } = report(&[], |_| vec![cost.clone()]);
    let bench = vremount(["bench", "--from"]).arg(&cost).output().unwrap();
    assert_eq!(output.status.code(), bench.status.code());
    assert!(stdout(&output).starts_with(&stdout(&bench)));
    assert_eq!(html.matches("<svg").count(), 4);
    // Where a line ends is out of sight on a telephone, and so is its name.
    assert_eq!(html.matches("&#9632;</b> reuse ").count(), 4);
    for line in stdout(&bench).lines() {
        assert!(html.contains(&escaped(line)), "{line}");
    }
}

#[rstest]
#[case::many(&["--ktap", "x"], "these formats describe a single run")]
#[case::nothing(&[], "name the folder of a run")]
fn a_folder_of_folders_is_joined(#[case] more: &[&str], #[case] expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = vremount(["report"]).arg(folder.path()).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    fabricated::run(folder.path(), "5.10.13", "uml", &CASES);
    fabricated::run(folder.path(), "6.1.176", "uml", &CASES);
    let output = vremount(["report"]).arg(folder.path()).output().unwrap();
    assert!(stdout(&output).ends_with("6 hold, 2 broken, 2 cannot tell, 4 skipped, 2 missing\n"));
    assert_eq!(output.status.code(), Some(1));
}

const DESK: &str = "1200,900";
/// Narrower than any window of a browser: a frame in one.
const TELEPHONE: &str = "390,844";

const FRAME: &str = "<!doctype html><body><iframe width=390 height=844 src=probed.html></iframe><script>
    addEventListener('message', (event) => { document.body.dataset.seen = event.data; });
</script></body>";

const TELL: &str = "new MutationObserver(() => parent.postMessage(document.body.dataset.seen, '*'))
    .observe(document.body, { attributes: true, attributeFilter: ['data-seen'] });";

/// The page as a browser has it after its scripts, and after what a script of ours did to it; of a frame only what that saw.
fn browsed(reported: &Reported, fragment: &str, size: &str, probe: &str) -> String {
    browsed_with(&[], reported, fragment, size, probe)
}

fn browsed_with(more: &[&str], reported: &Reported, fragment: &str, size: &str, probe: &str) -> String {
    let folder = reported.folder.path();
    let (mut page, frame) = (folder.join("probed.html"), folder.join("frame.html"));
    let script = format!("<script nonce=\"page\">\n{TELL}\n{probe}\n</script>\n</body>");
    fs::write(&page, reported.html.replace("</body>", &script)).unwrap();
    if size == TELEPHONE {
        fs::write(&frame, FRAME).unwrap();
        page = frame;
    }
    let mut browser = Command::new("timeout");
    browser.args(["120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]);
    // A container has little room in /dev/shm.
    browser.args(["--disable-dev-shm-usage", "--no-first-run"]);
    browser.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    browser.arg(format!("--window-size={size}")).args(more);
    let output = browser.arg("--dump-dom").arg(format!("file://{}#{fragment}", page.display())).output().unwrap();
    assert!(output.status.success(), "chromium, a Debian package: {}", stderr(&output));
    stdout(&output)
}

/// What a probe saw.
fn seen(dom: &str) -> &str {
    attributes(dom, " data-seen=\"").first().unwrap_or_else(|| panic!("{dom}"))
}

#[rstest]
#[case::all("", "8 of 8 shown", 3)]
#[case::verdict("verdict=broken", "1 of 8 shown", 1)]
#[case::filesystem("fs=ext4", "3 of 8 shown", 3)]
#[case::both("verdict=holds&fs=ext4", "2 of 8 shown", 2)]
#[case::name("text=POWER", "3 of 8 shown", 1)]
#[case::title("text=title %26 more&verdict=missing", "1 of 8 shown", 1)]
#[case::nothing("text=nowhere", "0 of 8 shown", 0)]
fn the_fragment_filters(#[case] fragment: &str, #[case] expected: &str, #[case] rows: usize) {
    let reported = report(&[], |below| vec![fabricated::run(below, "5.10.13", "uml", &CASES)]);
    let probe = "document.body.dataset.seen = document.querySelectorAll('.run tbody tr:not([hidden])').length;";
    let dom = browsed(&reported, fragment, DESK, probe);
    assert!(dom.contains(&format!("<output>{expected}</output>")), "{dom}");
    assert_eq!(seen(&dom), rows.to_string());
}

#[test]
fn a_run_is_chosen_among_many_and_text_is_no_markup() {
    let reported = all();
    let probe = "const shown = (what) => [...document.querySelectorAll(what)].filter((one) => one.offsetWidth).length;
        document.body.dataset.seen =
            [shown('section.run'), shown('#overview thead th'), document.images.length, document.scripts.length, document.title];";
    let dom = browsed(&reported, "run=5.10.13-uml-level4", DESK, probe);
    assert!(dom.contains("<output>8 of 14 shown</output>"), "{dom}");
    // The run, it and the one that could not start, no image, the script and the probe.
    assert!(seen(&dom).starts_with("1,2,0,2,vremount: "), "{}", seen(&dom));
}

/// A click on a cell, a look at what it shows, Escape; on a telephone.
#[rstest]
fn a_click_shows_the_transcript(#[values(DESK, TELEPHONE)] size: &str) {
    let reported = report(&[], |below| vec![fabricated::run(below, "5.10.13", "uml", &CASES)]);
    let probe = "const panel = document.getElementById('5.10.13-uml-level4:reuse:xfs');
        const look = () => panel.checkVisibility();
        const wait = () => new Promise((done) => setTimeout(done, 100));
        (async () => {
            const seen = [look()];
            document.querySelector(`a[href='#${panel.id}']`).click();
            await wait();
            seen.push(look(), panel.innerText.includes('mount the overlay, volatile => mounted'));
            seen.push(panel.getBoundingClientRect().width <= innerWidth);
            dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
            await wait();
            seen.push(look(), location.hash, document.documentElement.scrollWidth <= innerWidth);
            document.body.dataset.seen = seen;
        })();";
    let dom = browsed(&reported, "", size, probe);
    assert_eq!(seen(&dom), "false,true,true,true,false,#5.10.13-uml-level4:reuse,true");
}

/// Runs, a bisection and a bench with its curves, on a telephone.
#[rstest]
#[case::light("1", false)]
#[case::dark("0", true)]
fn everything_fits_a_telephone_by_day_and_by_night(#[case] scheme: &str, #[case] dark: bool) {
    let probe = "const luminance = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number)
            .map((part) => part / 255).map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
            .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
        const solid = (colour) => colour !== 'transparent' && !/, 0\\)$/.test(colour);
        const ground = (one) => {
            for (; one; one = one.parentElement) {
                const colour = getComputedStyle(one).backgroundColor;
                if (solid(colour)) return colour;
            }
            return matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)';
        };
        const told = [...document.querySelectorAll('body *')].filter((one) => one.offsetWidth
            && [...one.childNodes].some((node) => node.nodeType === 3 && /[^\\s■]/.test(node.textContent)));
        const contrast = told.map((one) => {
            const [low, high] = [getComputedStyle(one).color, ground(one)].map(luminance).sort((a, b) => a - b);
            return [(high + 0.05) / (low + 0.05), one.outerHTML.slice(0, 120)];
        }).sort((a, b) => a[0] - b[0]);
        const dark = matchMedia('(prefers-color-scheme: dark)').matches;
        const bad = contrast.filter(([ratio]) => ratio < 4.5).map(([, html]) => html);
        document.body.dataset.seen = [innerWidth, dark, told.length > 100, document.querySelectorAll('svg').length,
            document.documentElement.scrollWidth <= innerWidth, ...bad];";
    let reported = all();
    let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
    let dom = browsed_with(&[&scheme], &reported, "", TELEPHONE, probe);
    assert_eq!(seen(&dom), format!("390,{dark},true,4,true"));
}

#[test]
fn what_is_linked_to_is_shown_whatever_was_asked_for() {
    let reported = report(&[], |below| {
        fabricated::run(below, "5.10.13", "uml", &CASES);
        fabricated::run(below, "6.1.176", "uml", &CASES);
        vec![below.to_path_buf()]
    });
    let probe = "const panel = document.getElementById('6.1.176-uml-level4:reuse:xfs');
        const seen = [panel.checkVisibility()];
        location.hash = panel.id;
        setTimeout(() => (document.body.dataset.seen = [...seen, panel.checkVisibility()]), 100);";
    let dom = browsed(&reported, "run=5.10.13-uml-level4", DESK, probe);
    assert_eq!(seen(&dom), "false,true");
    assert!(dom.contains("<output>16 of 16 shown</output>"), "{dom}");
}

/// What is asked for goes to the address, so that it can be sent.
#[test]
fn a_filter_can_be_sent() {
    let reported = report(&[], |below| vec![fabricated::run(below, "5.10.13", "uml", &CASES)]);
    let probe = "form.elements.verdict.value = 'cannot-tell';
        form.dispatchEvent(new Event('input'));
        const sent = location.hash;
        form.reset();
        setTimeout(() => (document.body.dataset.seen = [sent, location.hash, form.querySelector('output').textContent]), 100);";
    let dom = browsed(&reported, "fs=ext4", DESK, probe);
    assert_eq!(seen(&dom), "#verdict=cannot-tell&amp;fs=ext4,,8 of 8 shown");
}
