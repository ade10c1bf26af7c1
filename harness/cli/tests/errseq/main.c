/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reads calls, one a line, runs the kernel's errseq function, and prints its return value, and eseq and since after it. */
#include <stdio.h>
#include <linux/errseq.h>

int main(void)
{
	char call;
	errseq_t eseq, since;
	int err;

	while (scanf(" %c %u %u %d", &call, &eseq, &since, &err) == 4) {
		long long ret;

		switch (call) {
		case 's':
			ret = errseq_set(&eseq, err);
			break;
		case 'm':
			ret = errseq_sample(&eseq);
			break;
		case 'c':
			ret = errseq_check(&eseq, since);
			break;
		case 'a':
			ret = errseq_check_and_advance(&eseq, &since);
			break;
		default:
			return 2;
		}
		printf("%lld %u %u\n", ret, eseq, since);
	}
	return 0;
}
