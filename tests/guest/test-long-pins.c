/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of a mapping that are pinned for a long time (FOLL_LONGTERM), by AF_XDP
 * and by io_uring, and what io_uring does with a file whose word is polled.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "fs.h"

/* Large enough for some huge pages, if the kernel has them for objects */
#define SIZE (4 * MIB)
#define ENTRIES 4

/* An instance of io_uring for one request at a time */
struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static void *ring_part(struct ring *ring, size_t size, off_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring->fd, offset);

	T_ASSERT(p != MAP_FAILED);
	return p;
}

static void ring_open(struct ring *ring)
{
	struct io_uring_params *params = &ring->params;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, ENTRIES, params);
	T_ASSERT(ring->fd >= 0);
	ring->sq = ring_part(ring, params->sq_off.array + ENTRIES * 4,
			     IORING_OFF_SQ_RING);
	ring->cq = ring_part(ring, params->cq_off.cqes +
			     params->cq_entries * sizeof(struct io_uring_cqe),
			     IORING_OFF_CQ_RING);
	ring->sqes = ring_part(ring, ENTRIES * sizeof(*ring->sqes),
			       IORING_OFF_SQES);
}

static unsigned int *ring_word(char *base, unsigned int offset)
{
	return (unsigned int *)(base + offset);
}

static void ring_submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *off = &ring->params.sq_off;
	unsigned int *tail = ring_word(ring->sq, off->tail);
	unsigned int at = *tail & (ENTRIES - 1);

	ring->sqes[at] = *sqe;
	ring_word(ring->sq, off->array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	T_EQ(syscall(__NR_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0), 1);
}

static int ring_done(struct ring *ring)
{
	const struct io_cqring_offsets *off = &ring->params.cq_off;

	return __atomic_load_n(ring_word(ring->cq, off->tail),
			       __ATOMIC_ACQUIRE) !=
	       *ring_word(ring->cq, off->head);
}

/* The result of the request that was submitted */
static int ring_result(struct ring *ring)
{
	const struct io_cqring_offsets *off = &ring->params.cq_off;
	unsigned int *head = ring_word(ring->cq, off->head);
	struct io_uring_cqe *cqe;
	int result;

	T_EQ(syscall(__NR_io_uring_enter, ring->fd, 0, 1,
		     IORING_ENTER_GETEVENTS, NULL, 0), 0);
	T_ASSERT(ring_done(ring));
	cqe = (struct io_uring_cqe *)(ring->cq + off->cqes);
	result = cqe[*head & (ring->params.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe)
{
	ring_submit(ring, sqe);
	return ring_result(ring);
}

/* pin_user_pages(FOLL_WRITE | FOLL_LONGTERM), then vmap() */
static int xdp_memory(void *p, size_t size)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)p,
		.len = size,
		.chunk_size = PAGE,
	};
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		t_skip("this kernel has no AF_XDP");
	T_ASSERT(fd >= 0);
	T_EQ(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)), 0);
	return fd;
}

/* Whole objects, and parts that begin and end inside of huge pages */
T_TEST(memory_of_a_socket)
{
	const char *name = fs_object("a", SIZE, 1);
	char *p;
	int fd, part;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	fd = xdp_memory(p, SIZE);
	part = xdp_memory(p + MIB + PAGE, 2 * MIB);
	p[MIB] ^= 1;
	fs_same(name, p, SIZE);
	close(part);
	close(fd);
	T_EQ(munmap(p, SIZE), 0);
}

/* The object stays attached as long as its pages are pinned. */
T_TEST(a_pin_outlives_the_mapping)
{
	const char *name = fs_object("a", SIZE, 2);
	char *p;
	int fd;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	fd = xdp_memory(p, SIZE);
	T_EQ(munmap(p, SIZE), 0);
	T_ASSERT(fs_mapped(name) > 0);
	close(fd);
	while (fs_mapped(name))
		sched_yield();
}

/*
 * Before Linux 6.5 io_uring itself registers no memory of files but those of
 * tmpfs and hugetlbfs.
 */
T_TEST(registered_buffers)
{
	const char *name = fs_new("a", SIZE);
	char data[] = "from a file", back[sizeof(data)];
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ_FIXED,
		.len = sizeof(data),
	};
	struct iovec iov = { .iov_len = SIZE };
	struct ring ring;
	char *p;
	int fd;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	iov.iov_base = p;
	ring_open(&ring);
	if (syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
		    &iov, 1)) {
		T_EQ(errno, EOPNOTSUPP);
		T_EQ(t_system("uname -r | grep -q '^6[.][1-4][.]'"), 0);
		t_skip("io_uring of this kernel registers no such memory");
	}
	fd = memfd_create("file", 0);
	T_EQ(write(fd, data, sizeof(data)), sizeof(data));
	sqe.fd = fd;
	sqe.addr = (uintptr_t)(p + 3 * MIB);
	T_EQ(ring_do(&ring, &sqe), sizeof(data));
	T_EQ(strcmp(t_host("text %s %ld", name, 3 * MIB), data), 0);
	t_host("write %s %ld 4f", name, 3 * MIB);
	sqe.opcode = IORING_OP_WRITE_FIXED;
	T_EQ(ring_do(&ring, &sqe), sizeof(data));
	T_EQ(pread(fd, back, sizeof(back), 0), sizeof(back));
	data[0] = 'O';
	T_EQ(strcmp(back, data), 0);
}

static void poll_word(int fd, unsigned int offset)
{
	struct vmshm_ioc_word word = { .offset = offset };

	T_EQ(ioctl(fd, VMSHM_IOC_POLL, &word), 0);
}

static void does_not_wait(struct io_uring_sqe sqe)
{
	const char *name = fs_new("a", PAGE);
	char data[8];
	struct ring ring;

	fs_mount(PLAIN);
	sqe.fd = fs_open(name, O_RDWR);
	sqe.addr = (uintptr_t)data;
	sqe.len = sizeof(data);
	poll_word(sqe.fd, 0);
	ring_open(&ring);
	T_EQ(ring_do(&ring, &sqe), sizeof(data));
}

/*
 * Reads and writes access the memory, as read(2) does, whatever word is polled.
 */
T_TEST(a_read_does_not_wait_for_the_word)
{
	does_not_wait((struct io_uring_sqe){ .opcode = IORING_OP_READ });
}

T_TEST(a_write_does_not_wait_for_the_word)
{
	does_not_wait((struct io_uring_sqe){ .opcode = IORING_OP_WRITE });
}

/* Only IORING_OP_POLL_ADD waits for the word. */
T_TEST(a_poll_waits_for_the_word)
{
	const char *name = fs_new("a", PAGE);
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD,
		.poll32_events = POLLIN,
	};
	struct ring ring;

	fs_mount(PLAIN);
	sqe.fd = fs_open(name, O_RDWR);
	poll_word(sqe.fd, 4);
	ring_open(&ring);
	ring_submit(&ring, &sqe);
	T_EQ(ring_done(&ring), 0);
	t_host("write %s 4 01000000", name);
	t_host("wake %s 4 1", name);
	T_EQ(ring_result(&ring), POLLIN);
}
