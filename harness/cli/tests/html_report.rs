// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTML page of a report: its text, and its behaviour in a browser.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::fixtures::{self, Case, HOSTILE};
use common::{checkout, stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;

/// Cases with every verdict, and one that did not run.
const CASES: &[Case<'static>] = &[
    ("reuse", "ext4", Some("holds")),
    ("reuse", "xfs", Some("broken")),
    ("reuse", "ramfs", Some("skipped")),
    ("power-cut", "ext4", Some("cannot-tell")),
    ("power-cut", "xfs", Some("holds")),
    ("power-cut", "ramfs", Some("skipped")),
    ("upper-moved", "ext4", Some("holds")),
    ("upper-moved", "xfs", None),
];
/// The cases of the second run in a page of everything.
const FEWER_CASES: &[Case<'static>] = CASES.split_at(6).0;

/// Number of [`CASES`] with a verdict, or without one.
fn count_cases(verdict: Option<&str>) -> usize {
    CASES.iter().filter(|case| case.2 == verdict).count()
}

/// Number of [`CASES`] that ran on a machine.
fn count_machines() -> usize {
    CASES.len() - count_cases(Some("skipped")) - count_cases(None)
}

/// Summary of a number of runs with [`CASES`].
fn summary(runs: usize) -> String {
    let verdicts = [Some("holds"), Some("broken"), Some("cannot-tell"), Some("skipped"), None];
    let [hold, broken, undecided, skipped, missing] = verdicts.map(|verdict| runs * count_cases(verdict));
    format!("{hold} hold, {broken} broken, {undecided} cannot tell, {skipped} skipped, {missing} missing")
}

/// A page, the directory that holds it, and the output of the command that made it.
struct Page {
    folder: tempfile::TempDir,
    output: Output,
    html: String,
}

/// Runs a subcommand of `report` on the directories that `write_results` creates and returns.
fn report(args: &[&str], write_results: impl FnOnce(&Path) -> Vec<PathBuf>) -> Page {
    let folder = tempfile::tempdir().unwrap();
    let paths = write_results(folder.path());
    let page = folder.path().join("page.html");
    let output = vremount([&["report"], args].concat()).args(paths).arg("-o").arg(&page).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    let html = fs::read_to_string(&page).unwrap();
    Page { folder, output, html }
}

/// Page of two runs, a run that could not start, a bisection and a bench.
fn report_everything() -> Page {
    report(&["merge"], |folder| {
        let runs = folder.join("runs");
        fixtures::write_run(&runs, "5.10.13", "uml", CASES);
        fixtures::write_run(&runs, HOSTILE, "uml", FEWER_CASES);
        let not_run = runs.join("7.2.6-level4-uml");
        fs::create_dir(&not_run).unwrap();
        let line = serde_json::json!({
            "base": "7.2.6", "series": "s", "level": 4, "executor": "uml", "cannot_tell": format!("no mirror {HOSTILE}")
        });
        fs::write(not_run.join("results.jsonl"), format!("{line}\n")).unwrap();
        fixtures::write_bisection(&runs, true);
        vec![runs, checkout().join("docs/cost.json")]
    })
}

/// Text after each occurrence of `prefix`, up to the next quotation mark.
fn attributes<'a>(html: &'a str, prefix: &str) -> Vec<&'a str> {
    html.split(prefix).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value).collect()
}

/// Number of cells with a verdict.
fn count_cells(html: &str, class: &str) -> usize {
    html.matches(&format!("<td class=\"{class}\" data-fs=")).count()
}

#[test]
fn page_is_self_contained_and_its_links_resolve() {
    let Page { html, .. } = report_everything();
    let ids = attributes(&html, " id=\"");
    let known: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an id is not unique");
    let links = attributes(&html, " href=\"");
    assert!(!links.is_empty());
    for link in links {
        let anchor = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} is outside of the page"));
        assert!(known.contains(anchor), "{link} does not resolve");
    }
    for load in [" src=", "url(", "@import", "<link", "<iframe", "<object", "xlink:href"] {
        let markup: String = html.replace(&escape(HOSTILE), "");
        assert!(!markup.contains(load), "{load}");
    }
    assert!(html.contains("<form id=\"filter\" hidden>"), "the filter is hidden without scripts");
    assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-page'\""));
}

/// Text as the page escapes it.
fn escape(text: &str) -> String {
    let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#x27;"), ("/", "&#x2f;")];
    pairs.iter().fold(text.to_string(), |text, (char, name)| text.replace(char, name))
}

/// Names, reasons, kernel logs, consoles and titles of commits may contain markup.
#[test]
fn text_of_results_is_escaped() {
    let Page { html, .. } = report_everything();
    assert!(!html.contains("<img"));
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    let hostile = escape(HOSTILE);
    for prefix in
        ["overlayfs: ", "overlayfs on ext4: ", "mount: ", "no mirror ", "Version v3 ", "vremount verify --base "]
    {
        assert!(html.contains(&format!("{prefix}{hostile}")), "{prefix}");
    }
}

#[test]
fn counts_equal_those_of_the_terminal_and_of_the_json_report() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("json");
    let Page { output, html, folder: _kept } = report(&["--json", json.to_str().unwrap()], |parent| {
        vec![fixtures::write_run(parent, "5.10.13", "uml", CASES)]
    });
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    let summary = summary(1);
    assert!(text.contains(&format!("\n{summary}\nHTML page: ")), "{text}");
    assert_eq!(html.matches(&format!(">{summary}<")).count(), 2, "the summary of all runs and that of the run");
    let json: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in json["verdicts"].as_array().unwrap() {
        *verdicts.entry(verdict["verdict"].as_str().unwrap()).or_default() += 1;
    }
    verdicts.insert("missing", json["missing"].as_array().unwrap().len());
    assert!(
        ["holds", "broken", "cannot-tell", "skipped", "missing"].iter().all(|verdict| verdicts.contains_key(verdict))
    );
    for (verdict, expected) in verdicts {
        assert_eq!(count_cells(&html, verdict), expected, "{verdict}");
    }
    for fact in ["vremount verify --base 5.10.13", "A &lt;fast&gt; one, 2 processors, Linux 6.1.0", "build b1"] {
        assert!(html.contains(fact), "{fact}");
    }
}

/// The result log has the paths that the files had before the directory was moved.
#[test]
fn moved_directory_has_its_transcripts_and_consoles() {
    let Page { html, .. } = report(&[], |parent| vec![fixtures::write_run(parent, "5.10.13", "uml", CASES)]);
    assert_eq!(
        html.matches("<article class=\"panel\"").count(),
        count_machines() + 1,
        "the cases that ran, and their boot"
    );
    assert_eq!(html.matches("<b>mount the overlay, volatile =&gt; mounted</b>").count(), count_machines());
    assert_eq!(html.matches("boot line 19").count(), 1, "the common start of the consoles is shown once");
    assert_eq!(html.matches("Without 21 lines of").count(), count_machines());
    assert!(!html.contains("failed to read"));
}

#[test]
fn missing_transcript_and_console_are_reported() {
    let Page { html, output, .. } = report(&[], |parent| {
        let run = fixtures::write_run(parent, "5.10.13", "uml", &CASES[..1]);
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
fn bisection_is_shown_with_its_result(#[case] is_complete: bool, #[case] exit: i32, #[case] expected: &str) {
    let Page { html, output, .. } = report(&[], |parent| vec![fixtures::write_bisection(parent, is_complete)]);
    assert_eq!(output.status.code(), Some(exit));
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
    assert!(html.contains(expected), "{html}");
    assert_eq!(
        html.contains("<ins>+    refused EINVAL</ins>"),
        is_complete,
        "a complete bisection has a transcript diff"
    );
    assert!(!html.contains("<form"), "a bisection has no filter");
}

#[test]
fn bench_is_shown_with_its_charts() {
    let cost = checkout().join("docs/cost.json");
    let Page { html, output, .. } = report(&[], |_| vec![cost.clone()]);
    let bench = vremount(["bench", "--from"]).arg(&cost).output().unwrap();
    assert_eq!(output.status.code(), bench.status.code());
    assert!(stdout(&output).starts_with(&stdout(&bench)));
    assert_eq!(html.matches("<svg").count(), 4);
    // A legend names the lines, because the labels at their ends are not visible on a phone.
    assert_eq!(html.matches("&#9632;</b> reuse ").count(), 4);
    for line in stdout(&bench).lines() {
        assert!(html.contains(&escape(line)), "{line}");
    }
}

#[rstest]
#[case::format_of_one_run(&["--ktap", "x"], "these formats describe a single run")]
#[case::empty_directory(&[], "name the folder of a run")]
fn directory_of_runs_is_reported_as_a_whole(#[case] more: &[&str], #[case] expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = vremount(["report"]).arg(folder.path()).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    fixtures::write_run(folder.path(), "5.10.13", "uml", CASES);
    fixtures::write_run(folder.path(), "6.1.176", "uml", CASES);
    let output = vremount(["report"]).arg(folder.path()).output().unwrap();
    assert!(stdout(&output).ends_with(&format!("{}\n", summary(2))));
    assert_eq!(output.status.code(), Some(1));
}

/// Window size of a desktop browser.
const DESKTOP: &str = "1200,900";
/// Window size of a phone. Browser windows cannot be so narrow, so the page is loaded in a frame.
const PHONE: &str = "390,844";

/// Page with a frame of the size of a phone, which records the result of the probe.
const FRAME: &str = "<!doctype html><body><iframe width=390 height=844 src=probed.html></iframe><script>
    addEventListener('message', (event) => { document.body.dataset.seen = event.data; });
</script></body>";

/// Script that sends the result of the probe to the parent frame.
const SEND_RESULT: &str = "new MutationObserver(() => parent.postMessage(document.body.dataset.seen, '*'))
    .observe(document.body, { attributes: true, attributeFilter: ['data-seen'] });";

/// DOM of the page in a browser after its scripts and a probe script ran. On a phone it is the DOM
/// of the parent frame, with only the result of the probe.
fn browse(page: &Page, fragment: &str, size: &str, probe: &str) -> String {
    browse_with(&[], page, fragment, size, probe)
}

fn browse_with(more: &[&str], page: &Page, fragment: &str, size: &str, probe: &str) -> String {
    let folder = page.folder.path();
    let (mut loaded, frame) = (folder.join("probed.html"), folder.join("frame.html"));
    let script = format!("<script nonce=\"page\">\n{SEND_RESULT}\n{probe}\n</script>\n</body>");
    fs::write(&loaded, page.html.replace("</body>", &script)).unwrap();
    if size == PHONE {
        fs::write(&frame, FRAME).unwrap();
        loaded = frame;
    }
    let mut browser = Command::new("timeout");
    browser.args(["120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]);
    // /dev/shm is small in a container.
    browser.args(["--disable-dev-shm-usage", "--no-first-run"]);
    browser.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    browser.arg(format!("--window-size={size}")).args(more);
    let output = browser.arg("--dump-dom").arg(format!("file://{}#{fragment}", loaded.display())).output().unwrap();
    assert!(output.status.success(), "chromium (Debian package) failed: {}", stderr(&output));
    stdout(&output)
}

/// Result of the probe.
fn probe_result(dom: &str) -> &str {
    attributes(dom, " data-seen=\"").first().unwrap_or_else(|| panic!("{dom}"))
}

#[rstest]
#[case::no_filter("", 8, 3)]
#[case::verdict("verdict=broken", 1, 1)]
#[case::filesystem("fs=ext4", 3, 3)]
#[case::verdict_and_filesystem("verdict=holds&fs=ext4", 2, 2)]
#[case::name("text=POWER", 3, 1)]
#[case::title("text=title %26 more&verdict=missing", 1, 1)]
#[case::no_match("text=nowhere", 0, 0)]
fn fragment_of_the_address_filters_cases(#[case] fragment: &str, #[case] shown: usize, #[case] rows: usize) {
    let page = report(&[], |parent| vec![fixtures::write_run(parent, "5.10.13", "uml", CASES)]);
    let probe = "document.body.dataset.seen = document.querySelectorAll('.run tbody tr:not([hidden])').length;";
    let dom = browse(&page, fragment, DESKTOP, probe);
    assert!(dom.contains(&format!("<output>{shown} of {} shown</output>", CASES.len())), "{dom}");
    assert_eq!(probe_result(&dom), rows.to_string());
}

#[test]
fn fragment_selects_one_run_and_text_is_not_interpreted_as_markup() {
    let page = report_everything();
    let probe = "const shown = (what) => [...document.querySelectorAll(what)].filter((one) => one.offsetWidth).length;
        document.body.dataset.seen =
            [shown('section.run'), shown('#overview thead th'), document.images.length, document.scripts.length, document.title];";
    let dom = browse(&page, "run=5.10.13-uml-level4", DESKTOP, probe);
    let (shown, all) = (CASES.len(), CASES.len() + FEWER_CASES.len());
    assert!(dom.contains(&format!("<output>{shown} of {all} shown</output>")), "{dom}");
    // One run; the columns of the run and of the one that could not start; no image; the script and
    // the probe.
    assert!(probe_result(&dom).starts_with("1,2,0,2,vremount: "), "{}", probe_result(&dom));
}

/// Clicks on a cell, checks the panel, and presses Escape.
#[rstest]
fn click_on_a_cell_shows_the_transcript_and_escape_hides_it(#[values(DESKTOP, PHONE)] size: &str) {
    let page = report(&[], |parent| vec![fixtures::write_run(parent, "5.10.13", "uml", CASES)]);
    let probe = "const panel = document.getElementById('5.10.13-uml-level4:reuse:xfs');
        const isVisible = () => panel.checkVisibility();
        const wait = () => new Promise((done) => setTimeout(done, 100));
        (async () => {
            const seen = [isVisible()];
            document.querySelector(`a[href='#${panel.id}']`).click();
            await wait();
            seen.push(isVisible(), panel.innerText.includes('mount the overlay, volatile => mounted'));
            seen.push(panel.getBoundingClientRect().width <= innerWidth);
            dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
            await wait();
            seen.push(isVisible(), location.hash, document.documentElement.scrollWidth <= innerWidth);
            document.body.dataset.seen = seen;
        })();";
    let dom = browse(&page, "", size, probe);
    assert_eq!(probe_result(&dom), "false,true,true,true,false,#5.10.13-uml-level4:reuse,true");
}

/// The probe also checks the contrast of all text.
#[rstest]
#[case::light("1", false)]
#[case::dark("0", true)]
fn page_fits_a_phone_and_is_readable_in_light_and_dark_mode(#[case] scheme: &str, #[case] dark: bool) {
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
        const elements = [...document.querySelectorAll('body *')].filter((one) => one.offsetWidth
            && [...one.childNodes].some((node) => node.nodeType === 3 && /[^\\s■]/.test(node.textContent)));
        const contrast = elements.map((one) => {
            const [low, high] = [getComputedStyle(one).color, ground(one)].map(luminance).sort((a, b) => a - b);
            return [(high + 0.05) / (low + 0.05), one.outerHTML.slice(0, 120)];
        }).sort((a, b) => a[0] - b[0]);
        const dark = matchMedia('(prefers-color-scheme: dark)').matches;
        const bad = contrast.filter(([ratio]) => ratio < 4.5).map(([, html]) => html);
        document.body.dataset.seen = [innerWidth, dark, elements.length > 100, document.querySelectorAll('svg').length,
            document.documentElement.scrollWidth <= innerWidth, ...bad];";
    let page = report_everything();
    let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
    let dom = browse_with(&[&scheme], &page, "", PHONE, probe);
    assert_eq!(probe_result(&dom), format!("390,{dark},true,4,true"));
}

#[test]
fn linked_panel_is_shown_although_the_filter_excludes_it() {
    let page = report(&[], |parent| {
        fixtures::write_run(parent, "5.10.13", "uml", CASES);
        fixtures::write_run(parent, "6.1.176", "uml", CASES);
        vec![parent.to_path_buf()]
    });
    let probe = "const panel = document.getElementById('6.1.176-uml-level4:reuse:xfs');
        const seen = [panel.checkVisibility()];
        location.hash = panel.id;
        setTimeout(() => (document.body.dataset.seen = [...seen, panel.checkVisibility()]), 100);";
    let dom = browse(&page, "run=5.10.13-uml-level4", DESKTOP, probe);
    assert_eq!(probe_result(&dom), "false,true");
    let all = 2 * CASES.len();
    assert!(dom.contains(&format!("<output>{all} of {all} shown</output>")), "{dom}");
}

#[test]
fn filter_is_stored_in_the_address() {
    let page = report(&[], |parent| vec![fixtures::write_run(parent, "5.10.13", "uml", CASES)]);
    let probe = "form.elements.verdict.value = 'cannot-tell';
        form.dispatchEvent(new Event('input'));
        const sent = location.hash;
        form.reset();
        setTimeout(() => (document.body.dataset.seen = [sent, location.hash, form.querySelector('output').textContent]), 100);";
    let dom = browse(&page, "fs=ext4", DESKTOP, probe);
    let all = CASES.len();
    assert_eq!(probe_result(&dom), format!("#verdict=cannot-tell&amp;fs=ext4,,{all} of {all} shown"));
}
