// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * selftest.c: isthmus_selftest.ko tests the driver's logic inside this kernel, when it is loaded;
 * it does not load when a test fails. With violate=1 it also tries the page tables of a device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "roster_cases.h"
#include "selftest.h"

/* Compiled in, not linked: an object is in one module only. This one works without the other. */
#include "roster.c"
#include "roster_cases.c"

static bool violate;
module_param(violate, bool, 0);
MODULE_PARM_DESC(violate, "write to memory that this peer may only read, or not even that");
static char *device = "";
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "PCI address of the device to do it with; none: all of them");

static unsigned int passed, failed;

static void result(const char *what, int ok)
{
	if (ok)
		passed++;
	else
		failed++;
	if (!ok)
		pr_err("failed: %s\n", what);
}

static int __init selftest_init(void)
{
	isthmus_roster_cases(result);
	pr_info("%u passed, %u failed\n", passed, failed);
	if (failed)
		return -EINVAL;
	return violate ? isthmus_selftest_violate(device) : 0;
}

static void __exit selftest_exit(void)
{
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_DESCRIPTION("Isthmus: tests of the driver");
MODULE_LICENSE("Dual BSD/GPL");
