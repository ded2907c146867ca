/* SPDX-License-Identifier: BSD-2-Clause */
/* guest_driver.h: the tests of the guest's driver, in several files. */
#ifndef GUEST_DRIVER_H
#define GUEST_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <isthmus/abi.h>

#define PATIENCE_NS 10000000000ull /* what has not come by then does not come */

/* driver_tools.c. What open_all() found. */
extern unsigned tests, failures;
extern const char *device_path;
extern int device; /* open */
extern struct ist_linux_info info;
extern const struct ist_roster *roster;
extern const struct ist_region *regions;
extern const struct ist_peer *peers;
extern const struct ist_linux_counts *counts;
extern uint64_t place; /* in the group: a page that this peer may write and nobody uses */

__attribute__((format(printf, 2, 3))) bool ok(bool good, const char *format, ...);
void skip(const char *what, const char *why);
/* The call failed, and with this error. */
bool fails(long result, int error);
void bail(const char *what);
int open_device(int flags);
void open_all(void);
void close_all(void);
struct ist_linux_info info_of(int fd);
void *map(int fd, uint64_t offset, uint64_t size, int protection);
/* Can it be mapped like this? 0, or the errno. */
int try_map(int fd, uint64_t offset, uint64_t size, int protection);
uint64_t now_ns(void);
int wait_counts(int fd, uint32_t seen, uint64_t deadline_ns);
int ring(int fd, uint32_t peer, uint32_t incarnation, uint32_t vector);
int hold(int fd, uint64_t offset, uint32_t on);
uint32_t total_of(const struct ist_linux_counts *of);
/* A child that runs `body`; the exit status of a child, or 128 + signal. */
pid_t spawn(int (*body)(void));
int reap(pid_t pid);

/* driver_maps.c */
void test_maps(void);
void test_sharing(void);

/* driver_bells.c */
void test_ring_errors(void);
void test_doorbells(void);
void test_read_poll(void);
void test_eventfds(void);
void test_wait(void);

/* driver_holds.c */
void test_holds(void);
void test_hold_limit(void);

/* driver_life.c */
void test_processes(void);
void test_unbind(void);

#endif
