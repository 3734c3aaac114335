/* The runner's check of what it was given to perform. */
#ifndef CELLA_SOUND_H
#define CELLA_SOUND_H

#include "executor/launch.h"

/* Whether a launch, of which so many bytes are mapped, is one that can be performed: every size, number and offset
 * that is used later leads to where it should, and no argument is outside of what its kind allows. The steps must
 * not be bound yet. Makes no system call. */
bool launch_is_sound(const struct launch *launch, size_t mapped);

#endif
