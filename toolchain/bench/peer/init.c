/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Linux guest of the storage benchmark: its init, and all there is in its initial file system
 * beside modules.  Loads the modules named in /modules, then reads each disk with O_DIRECT as
 * tests/guest/disk_figures.py does, and prints the same lines:
 *
 *     figure DISK READ CPUS REQUESTS MICROSECONDS
 *
 * One process a CPU, bound to it; requests through io_submit(), as many as the depth says.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEPTH = 32, MAX_BYTES = 128 * 1024 };

static const struct read_kind {
    const char *name;
    unsigned depth, bytes, sequential;
} KINDS[] = {
    {"random_4k_depth_1", 1, 4096, 0},
    {"random_4k_depth_32", 32, 4096, 0},
    {"sequential_128k_depth_4", 4, 131072, 1},
};

static uint64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static uint64_t place(const struct read_kind *kind, uint64_t number, uint64_t blocks)
{
    return (kind->sequential ? number : number * 2654435761ull) % blocks * kind->bytes;
}

/* Read `count` blocks of a disk from one CPU. */
static void load(const char *path, const struct read_kind *kind, unsigned cpu, uint64_t first,
                 uint64_t count)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    int fd = open(path, O_RDONLY | O_DIRECT);
    uint64_t bytes = 0;
    aio_context_t context = 0;
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) || syscall(SYS_io_setup, MAX_DEPTH, &context))
        _exit(1);
    static struct iocb blocks[MAX_DEPTH];
    char *memory = mmap(0, (size_t)MAX_DEPTH * MAX_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    uint64_t asked = 0, done = 0;
    struct iocb *ready[MAX_DEPTH];
    struct io_event events[MAX_DEPTH];
    unsigned free_now = kind->depth;
    for (unsigned i = 0; i < kind->depth; i++)
        ready[i] = &blocks[i];
    while (done < count) {
        unsigned batch = 0;
        for (; batch < free_now && asked < count; batch++, asked++) {
            struct iocb *block = ready[batch];
            memset(block, 0, sizeof *block);
            block->aio_fildes = fd;
            block->aio_lio_opcode = IOCB_CMD_PREAD;
            block->aio_buf = (uint64_t)(memory + (block - blocks) * MAX_BYTES);
            block->aio_nbytes = kind->bytes;
            block->aio_offset = place(kind, first + asked, bytes / kind->bytes);
        }
        if (batch && syscall(SYS_io_submit, context, batch, ready) != (long)batch)
            _exit(2);
        long got = syscall(SYS_io_getevents, context, 1, MAX_DEPTH, events, NULL);
        if (got < 1)
            _exit(3);
        for (long i = 0; i < got; i++) {
            if (events[i].res != (long long)kind->bytes)
                _exit(4);
            ready[i] = (struct iocb *)events[i].obj;
        }
        free_now = got;
        done += got;
    }
    _exit(0);
}

static void measure(const char *disk, unsigned cpus, uint64_t scale)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/%s", disk);
    for (unsigned k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        uint64_t each = scale / (KINDS[k].depth == 1 ? 4 : 1) / (KINDS[k].sequential ? 8 : 1);
        uint64_t began = microseconds();
        int status, failed = 0;
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            if (fork() == 0)
                load(path, &KINDS[k], cpu, cpu * each, each);
        while (wait(&status) > 0)
            failed |= status;
        if (failed)
            printf("failed %s %s\n", disk, KINDS[k].name);
        else
            printf("figure %s %s %u %llu %llu\n", disk, KINDS[k].name, cpus,
                   (unsigned long long)(each * cpus),
                   (unsigned long long)(microseconds() - began));
        fflush(stdout);
    }
}

int main(void)
{
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    mount("proc", "/proc", "proc", 0, "");
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(console, fd);
    char name[256];
    FILE *list = fopen("/modules", "r");
    while (list && fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        int fd = open(name, O_RDONLY);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
            printf("failed module %s\n", name);
        close(fd);
    }
    uint64_t scale = 16384;
    char words[512] = "";
    FILE *line = fopen("/proc/cmdline", "r");
    if (line && fgets(words, sizeof words, line) && strstr(words, "blocks="))
        scale = strtoull(strstr(words, "blocks=") + 7, 0, 10);
    unsigned cpus = sysconf(_SC_NPROCESSORS_ONLN);
    static const char *const DISKS[] = {"nvme0n1", "sda"};
    for (unsigned d = 0; d < 2; d++) {
        char path[64];
        snprintf(path, sizeof path, "/dev/%s", DISKS[d]);
        for (int i = 0; i < 50 && access(path, F_OK); i++)
            usleep(100000);
        if (access(path, F_OK) == 0)
            measure(DISKS[d], cpus, scale);
    }
    printf("figures end\n");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
