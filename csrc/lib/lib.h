/* Each adds its functions to the module table on top of the stack. */
#ifndef CELLA_LIB_H
#define CELLA_LIB_H

#include "value/compat.h"

void open_answer(lua_State *L);
void open_caps(lua_State *L);
void open_cgroup(lua_State *L);
void open_encode(lua_State *L);
void open_engine(lua_State *L); /* after open_fd */
void open_decode(lua_State *L); /* after open_encode */
void open_fd(lua_State *L);
void open_file(lua_State *L);
void open_heap(lua_State *L);
void open_ids(lua_State *L);
void open_inherited(lua_State *L);
void open_listener(lua_State *L);
void open_nsfs(lua_State *L);
void open_number_name(lua_State *L);
void open_poll(lua_State *L); /* after open_fd, as the next */
void open_stream(lua_State *L);
void open_query(lua_State *L);
void open_subid(lua_State *L);
void open_terminal(lua_State *L);
void open_usage(lua_State *L);

#endif
