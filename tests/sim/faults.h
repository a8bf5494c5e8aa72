// What goes wrong without anybody's asking.
#pragma once

void faults_begin(void);
void faults_stop(void); // everything is well from now on; what is down comes back by itself
void faults_end(void);
