// What systemd is told of this process. Without systemd ($NOTIFY_SOCKET) every call does nothing.
#pragma once
#include <stdbool.h>
#include <stdint.h>

void notify_ready(void);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2))); // one line, for systemctl status
void notify_reloading(void);                                                    // followed by notify_ready
void notify_stopping(void);
// How often notify_watchdog is expected, in ms: half of WatchdogSec. 0: never.
int64_t notify_watchdog_ms(void);
void notify_watchdog(void);
