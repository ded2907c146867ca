// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* main.c: the module, and a device's life from probe to remove. */
#include <linux/module.h>
#include <linux/pm.h>
#include <linux/slab.h>

#include "isthmus.h"

#define MINORS 256

static dev_t numbers;
static DEFINE_IDA(minors);

static struct class isthmus_class = {
	.name = "isthmus",
};

/* The last user is gone, and so is the device. */
static void isthmus_free(struct device *dev)
{
	struct isthmus *isthmus = isthmus_of(dev);

	ida_free(&minors, MINOR(dev->devt));
	ida_destroy(&isthmus->clients);
	free_page((unsigned long)isthmus->counts);
	kfree(isthmus);
}

/* From here on put_device() frees it. */
static struct isthmus *isthmus_alloc(struct pci_dev *pdev)
{
	struct isthmus *isthmus = kzalloc(sizeof(*isthmus), GFP_KERNEL);
	int minor = -ENOMEM;

	if (!isthmus)
		return ERR_PTR(-ENOMEM);
	isthmus->counts = (void *)get_zeroed_page(GFP_KERNEL);
	if (isthmus->counts)
		minor = ida_alloc_max(&minors, MINORS - 1, GFP_KERNEL);
	if (minor < 0) {
		free_page((unsigned long)isthmus->counts);
		kfree(isthmus);
		return ERR_PTR(minor);
	}
	isthmus->pdev = pdev;
	isthmus->personality = pdev->vendor == IST_V1_VENDOR ? 1 : 2;
	mutex_init(&isthmus->mutex);
	init_rwsem(&isthmus->here);
	spin_lock_init(&isthmus->lock);
	init_waitqueue_head(&isthmus->wait);
	INIT_LIST_HEAD(&isthmus->files);
	ida_init(&isthmus->clients);
	cdev_init(&isthmus->cdev, &isthmus_file_ops);
	isthmus->cdev.owner = THIS_MODULE;

	device_initialize(&isthmus->dev);
	isthmus->dev.class = &isthmus_class;
	isthmus->dev.parent = &pdev->dev;
	isthmus->dev.devt = MKDEV(MAJOR(numbers), minor);
	isthmus->dev.groups = isthmus_groups;
	isthmus->dev.release = isthmus_free;
	return isthmus;
}

static int isthmus_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct isthmus *isthmus;
	int error;

	if (pdev->vendor == IST_V1_VENDOR && pdev->revision != IST_V1_REVISION) {
		dev_err(&pdev->dev, "not bound: ivshmem revision %u, not %u\n", pdev->revision,
			IST_V1_REVISION);
		return -ENODEV;
	}
	isthmus = isthmus_alloc(pdev);
	if (IS_ERR(isthmus))
		return PTR_ERR(isthmus);
	error = dev_set_name(&isthmus->dev, "isthmus%u", MINOR(isthmus->dev.devt));
	if (error)
		goto put;
	error = isthmus_device_init(isthmus);
	if (error)
		goto put;
	isthmus_peers_init(isthmus);
	error = isthmus_device_start(isthmus);
	if (error)
		goto fini;
	error = cdev_device_add(&isthmus->cdev, &isthmus->dev);
	if (error)
		goto stop;
	pci_set_drvdata(pdev, isthmus);
	schedule_work(&isthmus->peers_work); /* who came or went since isthmus_peers_init() */
	dev_info(&pdev->dev, "%s: group %s, peer %u (incarnation %u), v%u, %u vectors\n",
		 dev_name(&isthmus->dev), isthmus->roster.name, isthmus->id, isthmus->incarnation,
		 isthmus->personality, isthmus->vectors);
	return 0;

stop:
	isthmus_device_quiet(isthmus);
	isthmus_device_stop(isthmus);
fini:
	isthmus_device_fini(isthmus);
put:
	put_device(&isthmus->dev);
	return error;
}

/* Takes the device from under its users: they cannot reach it when this returns. */
static void revoke(struct isthmus *isthmus)
{
	struct isthmus_file *file;
	bool held = false;

	mutex_lock(&isthmus->mutex);
	down_write(&isthmus->here);
	WRITE_ONCE(isthmus->gone, true);
	up_write(&isthmus->here);
	/* First every mapping, then the words: nobody takes one behind our back. */
	list_for_each_entry(file, &isthmus->files, node)
		isthmus_file_revoke(file);
	list_for_each_entry(file, &isthmus->files, node)
		held |= isthmus_holds_end(file);
	if (held)
		isthmus_holds_tell(isthmus);
	mutex_unlock(&isthmus->mutex);
	wake_up_all(&isthmus->wait);
}

static void isthmus_remove(struct pci_dev *pdev)
{
	struct isthmus *isthmus = pci_get_drvdata(pdev);

	revoke(isthmus);
	isthmus_device_quiet(isthmus);
	isthmus_device_stop(isthmus);
	cancel_work_sync(&isthmus->peers_work);
	cdev_device_del(&isthmus->cdev, &isthmus->dev);
	isthmus_device_fini(isthmus);
	put_device(&isthmus->dev);
}

static void isthmus_shutdown(struct pci_dev *pdev)
{
	isthmus_device_quiet(pci_get_drvdata(pdev));
}

/* The other peers would go on without this one, and find it changed. */
static int isthmus_suspend(struct device *dev)
{
	dev_err(dev,
		"a group's memory is shared and cannot be suspended: unbind the device first\n");
	return -EBUSY;
}

static const struct dev_pm_ops isthmus_pm = {
	.suspend = pm_sleep_ptr(isthmus_suspend),
	.freeze = pm_sleep_ptr(isthmus_suspend),
};

static const struct pci_device_id ids[] = {
	{PCI_DEVICE(IST_V1_VENDOR, IST_V1_DEVICE)},
	{PCI_DEVICE(IST_V2_VENDOR, IST_V2_DEVICE)},
	{},
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = {
	.name = "isthmus",
	.id_table = ids,
	.probe = isthmus_probe,
	.remove = isthmus_remove,
	.shutdown = isthmus_shutdown,
	.driver.pm = pm_sleep_ptr(&isthmus_pm),
};

static int __init isthmus_init(void)
{
	int error;

	error = class_register(&isthmus_class);
	if (error)
		return error;
	error = alloc_chrdev_region(&numbers, 0, MINORS, "isthmus");
	if (error)
		goto unregister_class;
	error = pci_register_driver(&driver);
	if (error)
		goto unregister_chrdev;
	return 0;

unregister_chrdev:
	unregister_chrdev_region(numbers, MINORS);
unregister_class:
	class_unregister(&isthmus_class);
	return error;
}

static void __exit isthmus_exit(void)
{
	pci_unregister_driver(&driver);
	unregister_chrdev_region(numbers, MINORS);
	class_unregister(&isthmus_class);
}

module_init(isthmus_init);
module_exit(isthmus_exit);
MODULE_DESCRIPTION("Isthmus: memory shared among virtual machines");
MODULE_LICENSE("Dual BSD/GPL");
