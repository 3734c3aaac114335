/* Sets of capabilities as values of Lua (capset.h), and their algebra. */
#ifndef CELLA_CAPMASK_H
#define CELLA_CAPMASK_H

#include "value/compat.h"

/* Adds the constructor to the table on top of the stack. */
void open_capmask(lua_State *L);

#endif
