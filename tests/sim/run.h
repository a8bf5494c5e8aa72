// A seed's run.
#pragma once
#include "plan.h"

// Returns the hash of everything that happened. Ends the process at the first broken invariant.
uint64_t run_seed(uint64_t seed, enum mutation mutation, bool trace);
