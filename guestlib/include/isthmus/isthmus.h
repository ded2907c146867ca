/* SPDX-License-Identifier: BSD-2-Clause */
/* isthmus.h: all of libisthmus. */
#ifndef ISTHMUS_ISTHMUS_H
#define ISTHMUS_ISTHMUS_H

#include <isthmus/app.h>
#include <isthmus/cell.h>
#include <isthmus/channel.h>
#include <isthmus/errno.h>
#include <isthmus/group.h>

#endif
