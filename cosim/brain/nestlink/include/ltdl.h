// SPDX-License-Identifier: GPL-2.0-or-later
//
// Stands in for libltdl's header, of which NEST's headers need one name only: that of a pointer to a loaded module.
// So nestlink builds on a machine with nothing but a C++ compiler.

#pragma once

typedef struct lt__handle* lt_dlhandle;
