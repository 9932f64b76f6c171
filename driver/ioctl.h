/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm ioctls on words, of files of both kinds.
 */
#ifndef VMSHM_DRIVER_IOCTL_H
#define VMSHM_DRIVER_IOCTL_H

struct file;
struct vmshm_dev;
struct vmshm_vnode;
struct vmshm_word_file;

struct vmshm_word_file *vmshm_ioctl_open(struct vmshm_dev *vdev);
void vmshm_ioctl_release(struct vmshm_word_file *wfile);
void vmshm_ioctl_gone(struct vmshm_dev *vdev);
bool vmshm_ioctl_any_hold(struct vmshm_dev *vdev);
void vmshm_ioctl_mark_held(struct vmshm_dev *vdev);
void vmshm_ioctl_restore(struct vmshm_dev *vdev);
long vmshm_ioctl_dispatch(struct vmshm_word_file *wfile,
			  struct vmshm_vnode *vnode, struct file *file,
			  unsigned int cmd, unsigned long arg);

#endif /* VMSHM_DRIVER_IOCTL_H */
