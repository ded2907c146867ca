// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* file.c: /dev/isthmusN: open, ioctl, read, poll, close. Its interface is in abi.h. */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "isthmus.h"

static int isthmus_open(struct inode *inode, struct file *filp)
{
	struct isthmus *isthmus = container_of(inode->i_cdev, struct isthmus, cdev);
	struct isthmus_file *file;
	int client, error;

	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	client = ida_alloc_range(&isthmus->clients, 1, IST_CLIENTS_MAX - 1, GFP_KERNEL);
	if (client < 0) {
		error = client == -ENOSPC ? -EMFILE : client;
		goto free;
	}
	file->isthmus = isthmus;
	file->filp = filp;
	file->client = client;
	xa_init(&file->holds);

	mutex_lock(&isthmus->mutex);
	if (isthmus->gone) {
		mutex_unlock(&isthmus->mutex);
		error = -ENODEV;
		goto free_client;
	}
	file->changes = isthmus_group_changes(isthmus);
	spin_lock_irq(&isthmus->lock);
	file->seen = isthmus->counts->total;
	list_add_tail(&file->node, &isthmus->files);
	spin_unlock_irq(&isthmus->lock);
	mutex_unlock(&isthmus->mutex);

	get_device(&isthmus->dev);
	filp->private_data = file;
	return stream_open(inode, filp);

free_client:
	ida_free(&isthmus->clients, client);
free:
	kfree(file);
	return error;
}

static int isthmus_release(struct inode *inode, struct file *filp)
{
	struct isthmus_file *file = filp->private_data;
	struct isthmus *isthmus = file->isthmus;

	mutex_lock(&isthmus->mutex);
	if (!isthmus->gone && isthmus_holds_end(file))
		isthmus_holds_tell(isthmus);
	spin_lock_irq(&isthmus->lock);
	list_del(&file->node);
	spin_unlock_irq(&isthmus->lock);
	mutex_unlock(&isthmus->mutex);

	for (int i = 0; i < IST_VECTORS_MAX; i++)
		if (file->event[i])
			eventfd_ctx_put(file->event[i]);
	ida_free(&isthmus->clients, file->client);
	put_device(&isthmus->dev);
	kfree(file);
	return 0;
}

static int info(struct isthmus_file *file, struct ist_linux_info *info)
{
	struct isthmus *isthmus = file->isthmus;
	const struct isthmus_roster *roster = &isthmus->roster;
	int error = -ENODEV;

	*info = (struct ist_linux_info){
		.version = IST_LINUX_VERSION,
		.personality = isthmus->personality,
		.id = isthmus->id,
		.incarnation = isthmus->incarnation,
		.vectors = isthmus->vectors,
		.max_peers = roster->max_peers,
		.client = file->client,
		.registers = isthmus->page,
		.doorbell = isthmus->doorbell,
		.size = roster->size,
		.run_state = isthmus->run_state != NULL,
	};
	memcpy(info->name, roster->name, sizeof(info->name));
	down_read(&isthmus->here);
	info->regions = roster->regions;
	for (u32 i = 0; i < roster->regions; i++)
		info->rights[i] = isthmus_right(roster, isthmus->id, roster->region[i].offset,
						roster->region[i].size);
	if (!isthmus->gone) {
		WRITE_ONCE(file->changes, isthmus_group_changes(isthmus));
		error = 0;
	}
	up_read(&isthmus->here);
	return error;
}

static int ring(struct isthmus *isthmus, const struct ist_linux_ring *ring)
{
	int error = -ENODEV;
	u64 word = 0;

	/* Without interrupts there is no doorbell either: the device has no vectors at all. */
	if (ring->peer >= isthmus->roster.max_peers || ring->vector >= isthmus->roster.vectors ||
	    ring->reserved || !isthmus->vectors)
		return -EINVAL;
	down_read(&isthmus->here);
	if (!isthmus->gone) {
		word = isthmus_group_word(isthmus, ring->peer);
		error = isthmus_reachable(word, ring->incarnation);
	}
	if (!error)
		isthmus_device_ring(isthmus, ring->peer, IST_PEER_INCARNATION(word), ring->vector);
	up_read(&isthmus->here);
	return error;
}

static int event(struct isthmus_file *file, const struct ist_linux_eventfd *event)
{
	struct isthmus *isthmus = file->isthmus;
	struct eventfd_ctx *context = NULL;

	if (event->vector >= isthmus->vectors)
		return -EINVAL;
	if (event->fd != -1) {
		context = eventfd_ctx_fdget(event->fd);
		if (IS_ERR(context))
			return PTR_ERR(context);
	}
	spin_lock_irq(&isthmus->lock);
	swap(context, file->event[event->vector]);
	spin_unlock_irq(&isthmus->lock);
	if (context)
		eventfd_ctx_put(context);
	return 0;
}

static bool rung(struct isthmus *isthmus, u32 seen)
{
	/* Pairs with the release in isthmus_deliver(). */
	return smp_load_acquire(&isthmus->counts->total) != seen || READ_ONCE(isthmus->gone);
}

static int wait(struct isthmus *isthmus, const struct ist_linux_wait *wait)
{
	ktime_t left = KTIME_MAX; /* no deadline */
	int error;

	if (wait->reserved)
		return -EINVAL;
	if (wait->deadline_ns < KTIME_MAX)
		left = max_t(ktime_t, ktime_sub(wait->deadline_ns, ktime_get()), 0);
	error = left ? wait_event_interruptible_hrtimeout(isthmus->wait, rung(isthmus, wait->seen),
							  left)
		     : -ETIME;
	if (READ_ONCE(isthmus->gone))
		return -ENODEV;
	if (!error || rung(isthmus, wait->seen))
		return 0;
	return error == -ETIME ? -ETIMEDOUT : -EINTR;
}

static long isthmus_ioctl(struct file *filp, unsigned int command, unsigned long argument)
{
	struct isthmus_file *file = filp->private_data;
	struct isthmus *isthmus = file->isthmus;
	void __user *user = (void __user *)argument;
	union {
		struct ist_linux_info info;
		struct ist_linux_ring ring;
		struct ist_linux_eventfd event;
		struct ist_linux_wait wait;
		struct ist_linux_hold hold;
	} u;
	int error;

	if (READ_ONCE(isthmus->gone))
		return -ENODEV;
	switch (command) {
	case IST_IOCTL_INFO:
	case IST_IOCTL_RING:
	case IST_IOCTL_EVENTFD:
	case IST_IOCTL_WAIT:
	case IST_IOCTL_HOLD:
		break;
	default:
		return -ENOTTY;
	}
	/* The number says how much and which way, as everywhere in Linux. */
	if (_IOC_DIR(command) & _IOC_WRITE && copy_from_user(&u, user, _IOC_SIZE(command)))
		return -EFAULT;
	switch (command) {
	case IST_IOCTL_RING:
		return ring(isthmus, &u.ring);
	case IST_IOCTL_EVENTFD:
		return event(file, &u.event);
	case IST_IOCTL_WAIT:
		return wait(isthmus, &u.wait);
	case IST_IOCTL_HOLD:
		return isthmus_hold(file, &u.hold);
	}
	error = info(file, &u.info);
	if (!error && copy_to_user(user, &u.info, sizeof(u.info)))
		error = -EFAULT;
	return error;
}

/* The counts, if they have moved since this file's last read(). */
static bool take_counts(struct isthmus_file *file, struct ist_linux_counts *counts)
{
	struct isthmus *isthmus = file->isthmus;
	bool fresh;

	spin_lock_irq(&isthmus->lock);
	*counts = *isthmus->counts;
	fresh = counts->total != file->seen;
	WRITE_ONCE(file->seen, counts->total);
	spin_unlock_irq(&isthmus->lock);
	return fresh;
}

static ssize_t isthmus_read(struct file *filp, char __user *user, size_t size, loff_t *position)
{
	struct isthmus_file *file = filp->private_data;
	struct isthmus *isthmus = file->isthmus;
	struct ist_linux_counts counts;
	int error = -ENODEV;

	if (size < sizeof(counts))
		return -EINVAL;
	while (!READ_ONCE(isthmus->gone) && !take_counts(file, &counts)) {
		if (filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		error = wait_event_interruptible(isthmus->wait,
						 rung(isthmus, READ_ONCE(file->seen)));
		if (error)
			return error;
	}
	error = -ENODEV;
	down_read(&isthmus->here);
	if (!isthmus->gone) {
		WRITE_ONCE(file->changes, isthmus_group_changes(isthmus));
		error = 0;
	}
	up_read(&isthmus->here);
	if (error)
		return error;
	return copy_to_user(user, &counts, sizeof(counts)) ? -EFAULT : sizeof(counts);
}

static __poll_t isthmus_poll(struct file *filp, poll_table *table)
{
	struct isthmus_file *file = filp->private_data;
	struct isthmus *isthmus = file->isthmus;
	__poll_t mask = EPOLLHUP;

	poll_wait(filp, &isthmus->wait, table);
	down_read(&isthmus->here);
	if (!isthmus->gone) {
		mask = 0;
		if (rung(isthmus, READ_ONCE(file->seen)))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (isthmus_group_changes(isthmus) != READ_ONCE(file->changes))
			mask |= EPOLLPRI;
	}
	up_read(&isthmus->here);
	return mask;
}

const struct file_operations isthmus_file_ops = {
	.owner = THIS_MODULE,
	.open = isthmus_open,
	.release = isthmus_release,
	.read = isthmus_read,
	.poll = isthmus_poll,
	.mmap = isthmus_mmap,
	.unlocked_ioctl = isthmus_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
