// What the Redis store is made from. What it points to is borrowed and must outlive the store.
#pragma once
#include "ports.h"
#include "redis_url.h"

struct redis_options {
    const char *app; // names the keys
    const struct redis_url *url;
    int timeout_ms;            // for connecting, and for each answer
    const char *client;        // the connection's name in CLIENT LIST, without blanks; NULL: none
    const char *const *models; // names, by model index of the program
    int nmodels;
    void (*note)(void *arg, enum note_level level,
                 const char *text); // warnings about Redis' settings; or NULL
    void *note_arg;
};
