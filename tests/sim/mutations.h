// The steps of the protocol, each done wrong, that the simulation must notice: X(name, what is done wrong).
#define MUTATIONS(X) \
    X(STATES_FIRST, "states are flushed before their outputs are committed") \
    X(OWNER_UNCHECKED, "a flush does not look at the owner") \
    X(N_UNCHECKED, "a flush does not look at n") \
    X(OWNER_NOT_READ, "a load does not end with reading owner and n") \
    X(METADATA_LATE, "group metadata is taken at the commit instead of at the assignment") \
    X(PLAIN_COMMITS, "offsets are committed plainly, beside the transactions") \
    X(UNSTABLE_OFFSETS, "committed offsets are read while a transaction holds newer ones") \
    X(PRODUCER_KEPT, "the producer is used on after a doubtful commit") \
    X(STABLE_ONLY, "outputs are read to the last stable offset instead of the high watermark") \
    X(FILTER_EMPTY, "outputs are published again without looking which are there") \
    X(TAIL_MOVED, "tails are moved to the end of the outputs by every flush, also in a replay") \
    X(WALL_UNJOURNALED, "advances of wall time are not journaled") \
    X(WALL_UNCHECKED, "wall time moves the clock though there are events to read") \
    X(SWEEP_FORGETS, "a piece of a sweep drops the deadlines that are left in its buckets") \
    X(SPLIT_FORGETS, "a split leaves a customer behind in the old bucket") \
    X(EVICT_UNFLUSHED, "the cache evicts customers that are not flushed") \
    X(EVICT_COVERED, "the cache evicts customers that a sweep relies on to be in memory") \
    X(SWITCH_EARLY, "the program is changed though a replay is not over") \
    X(JOURNAL_IGNORED, "a replay does not follow the clock's advances") \
    X(SIZES_UNCOUNTED, "it is not seen that deadlines or statistics are lost") \
    X(CUSTOMERS_UNCOUNTED, "customers are not counted when a partition is taken")
