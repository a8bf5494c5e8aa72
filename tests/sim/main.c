// tests/sim/run: seeds, shared by several processes. One that finds a broken invariant ends there, and another goes on
// with the seeds that are left.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"
#include "sim.h"

enum { JOBS_MAX = 64, FAILURES_MAX = 20, TWICE_EVERY = 16, MUTATION_SEEDS = 3000 };

struct options {
    uint64_t seeds, from;
    int64_t until; // ms; 0: no limit
    int jobs;
    bool trace;
    enum mutation mutate;
};

struct shared { // by all processes
    atomic_ullong next, last, done, steps;
};

static struct shared *shared;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_signal(int signal)
{
    sim_fail("signal %d", signal);
}

static void catch_signals(void)
{
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, NULL);
}

static void one(uint64_t seed, enum mutation mutate, bool trace, bool twice)
{
    alarm(60); // a seed takes milliseconds
    uint64_t hash = run_seed(seed, mutate, trace);
    if (twice && run_seed(seed, mutate, false) != hash)
        sim_fail("I8: a second run of the seed is another one");
    atomic_fetch_add(&shared->done, 1);
    atomic_fetch_add(&shared->steps, sim.step);
}

static void work(const struct options *o)
{
    catch_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody would hear of what is found
    while (!o->until || now_ms() < o->until) {
        uint64_t seed = atomic_fetch_add(&shared->next, 1);
        if (seed >= atomic_load(&shared->last))
            break;
        one(seed, o->mutate, false, seed % TWICE_EVERY == 0);
    }
    _exit(0);
}

// Whether all seeds are well.
static bool run_all(const struct options *o, int failures_max)
{
    int running = 0, failures = 0;
    atomic_store(&shared->next, o->from);
    atomic_store(&shared->last, o->from + o->seeds);
    fflush(NULL);
    for (bool more = true; more || running > 0;) {
        while (more && running < o->jobs) {
            pid_t pid = fork();
            if (pid == 0)
                work(o);
            if (pid < 0) {
                perror("sim: fork");
                return false;
            }
            running++;
        }
        int status;
        if (waitpid(-1, &status, 0) < 0 && errno != EINTR)
            break;
        running--;
        bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        failures += failed;
        more = failed && failures < failures_max;
        if (failures >= failures_max)
            atomic_store(&shared->last, 0);
    }
    return failures == 0;
}

// Each mutation must be noticed; tells by how many seeds.
static int run_mutations(struct options *o)
{
    int missed = 0;
    int null = dup(STDERR_FILENO);
    o->seeds = MUTATION_SEEDS;
    for (int m = 1; m < MUTATION_COUNT; m++) {
        if (o->mutate && m != (int)o->mutate)
            continue;
        struct options each = *o;
        each.mutate = (enum mutation)m;
        atomic_store(&shared->done, 0);
        if (!freopen("/dev/null", "w", stderr))
            return 1;
        bool well = run_all(&each, 1);
        fflush(stderr);
        dup2(null, STDERR_FILENO);
        missed += well;
        printf("%-18s %s: %s after %llu seeds\n", mutation_name(each.mutate), mutation_text(each.mutate),
               well ? "NOT NOTICED" : "noticed", (unsigned long long)atomic_load(&shared->done) + !well);
        fflush(stdout);
    }
    return missed > 0;
}

static int usage(void)
{
    fputs("usage: run [--seeds N] [--from S] [--minutes M] [--jobs J]\n"
          "       run --seed S [--trace] [--mutate NAME]\n"
          "       run --mutations [--mutate NAME] [--jobs J]\n",
          stderr);
    return 2;
}

static bool find_mutation(const char *name, enum mutation *ret)
{
    for (int m = 1; m < MUTATION_COUNT; m++)
        if (!strcmp(name, mutation_name((enum mutation)m))) {
            *ret = (enum mutation)m;
            return true;
        }
    fprintf(stderr, "there is no mutation %s; there are:\n", name);
    for (int m = 1; m < MUTATION_COUNT; m++)
        fprintf(stderr, "    %-18s %s\n", mutation_name((enum mutation)m), mutation_text((enum mutation)m));
    return false;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"seeds", required_argument, NULL, 'n'},
                                                 {"from", required_argument, NULL, 'f'},
                                                 {"minutes", required_argument, NULL, 'm'},
                                                 {"jobs", required_argument, NULL, 'j'},
                                                 {"seed", required_argument, NULL, 's'},
                                                 {"trace", no_argument, NULL, 't'},
                                                 {"mutations", no_argument, NULL, 'M'},
                                                 {"mutate", required_argument, NULL, 'x'},
                                                 {NULL, 0, NULL, 0}};
    struct options o = {.seeds = 1000, .from = 1, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    uint64_t seed = 0;
    bool single = false, mutations = false;
    double minutes = 0;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'n': o.seeds = strtoull(optarg, NULL, 10); break;
        case 'f': o.from = strtoull(optarg, NULL, 10); break;
        case 'm': minutes = strtod(optarg, NULL); break;
        case 'j': o.jobs = atoi(optarg); break;
        case 's': seed = strtoull(optarg, NULL, 10), single = true; break;
        case 't': o.trace = true; break;
        case 'M': mutations = true; break;
        case 'x':
            if (!find_mutation(optarg, &o.mutate))
                return 2;
            break;
        default: return usage();
        }
    }
    if (optind < argc || o.jobs < 1 || o.jobs > JOBS_MAX)
        return usage();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return perror("sim: mmap"), 1;
    if (single) {
        catch_signals();
        one(seed, o.mutate, o.trace, true);
        printf("seed %" PRIu64 ": well, hash %016" PRIx64 "\n", seed, sim.hash);
        return 0;
    }
    if (mutations)
        return run_mutations(&o);
    int64_t begun = now_ms();
    if (minutes > 0) {
        o.until = begun + (int64_t)(minutes * 60000);
        o.seeds = UINT64_C(1) << 40;
    }
    bool well = run_all(&o, FAILURES_MAX);
    printf("%llu seeds from %" PRIu64 " on, %.1f s, %.1f million steps: %s\n",
           (unsigned long long)atomic_load(&shared->done), o.from, (double)(now_ms() - begun) / 1000,
           (double)atomic_load(&shared->steps) / 1e6, well ? "well" : "FAILED");
    return !well;
}
