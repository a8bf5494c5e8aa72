// One Redis server: the connection to it, made when needed, and what is known of it.
//
// A connection is either good or dropped. After a time-out or a broken answer it is dropped at once, for the
// answer may still come and would be taken for that of the next command. Whoever asks next gets a new one,
// with all its checks.
#pragma once
#include <hiredis/hiredis.h>

#include "cleanup.h"
#include "redis_arena.h"
#include "redis_options.h"
#include "redis_resp.h"

enum redis_script { REDIS_CLAIM, REDIS_CREATE, REDIS_FLUSH, REDIS_REMEMBER, REDIS_SCRIPTS };

struct redis_conn;

// NULL: no memory. Connects to nothing yet. All answers are made in the arena; *runs counts the runs of servers that
// connections which share it have seen. Both must outlive the connection.
struct redis_conn *redis_conn_new(const struct redis_options *o, struct redis_arena *answers, uint64_t *runs);
struct redis_conn *redis_conn_free(struct redis_conn *c); // accepts and returns NULL
DEFINE_CLEANUP(struct redis_conn, redis_conn_free)

// Whether there is a connection, and the server has not closed it meanwhile.
bool redis_conn_alive(struct redis_conn *c);
// Makes one to a host (NULL: to the URL's socket): authenticated, checked, scripts loaded. 0, PORT_AWAY,
// PORT_REFUSED or negative; at most the time-out for each step, and the time that a name's resolution takes.
int redis_conn_open(struct redis_conn *c, const struct redis_host *host, struct why *ret_why);
// Checks the server again over a connection that is alive. Results as those of redis_conn_open.
int redis_conn_check(struct redis_conn *c, struct why *ret_why);
// Makes one that is only authenticated, whatever the server is: for questions about others. Results as above.
int redis_conn_greet(struct redis_conn *c, const struct redis_host *host, struct why *ret_why);
void redis_conn_drop(struct redis_conn *c);
// Which run of a server answers: a number (0: none did yet) that changes exactly when another process answers
// than before, and that no other connection with the same *runs has.
uint64_t redis_conn_run(const struct redis_conn *c);

// Sends the commands in `out` and waits for their n answers, which live until the arena is reset; an answer can be an
// error of Redis'. 0; PORT_AWAY: no answer, and the connection is dropped: commands may or may not be done.
int redis_conn_send(struct redis_conn *c, const struct resp *out, size_t n, redisReply **ret, struct why *ret_why);
// Runs a script whose arguments, from the number of keys on, are in `args` (args->n of them).
int redis_conn_script(struct redis_conn *c, enum redis_script script, const struct resp *args, redisReply **ret,
                      struct why *ret_why);
// What an error among the answers means: PORT_AWAY (and the connection is dropped, so that the server is
// looked at anew) or PORT_REFUSED.
int redis_conn_error(struct redis_conn *c, const redisReply *error, struct why *ret_why);
