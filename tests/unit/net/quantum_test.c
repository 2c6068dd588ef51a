/* Connections share a turn fairly, and each is served within bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/quantum.h"

enum {
    CROWD = 300
};

struct member {
    struct kv_quantum quantum;
    int n_served;
};

static struct kv_quanta quanta;

/* Uses its whole grant, and wants more. */
static void serve_greedily(struct kv_quantum *quantum)
{
    KV_CONTAINER(quantum, struct member, quantum)->n_served++;
    while (!kv_quantum_is_used_up(quantum))
        kv_quantum_charge(quantum, &quanta, KV_QUANTUM_MESSAGE);
    kv_quantum_wait(quantum, &quanta);
}

static void serve_once(struct kv_quantum *quantum)
{
    KV_CONTAINER(quantum, struct member, quantum)->n_served++;
}

static void all_connections_of_a_crowd_are_served_equally_often(void **state)
{
    static struct member members[CROWD];
    (void)state;
    kv_quanta_init(&quanta);
    for (int i = 0; i < CROWD; i++) {
        members[i] = (struct member){0};
        kv_quantum_init(&members[i].quantum);
        kv_quantum_wait(&members[i].quantum, &quanta);
    }
    for (int turn = 0; turn < 10 * CROWD; turn++)
        kv_quanta_end_turn(&quanta, serve_greedily);
    assert_true(members[0].n_served >= 10);
    for (int i = 0; i < CROWD; i++)
        assert_in_range(members[i].n_served, members[0].n_served - 1, members[0].n_served);
}

static void turn_ends_before_a_whole_crowd_is_served(void **state)
{
    static struct member members[CROWD];
    int n_served = 0;
    (void)state;
    kv_quanta_init(&quanta);
    for (int i = 0; i < CROWD; i++) {
        members[i] = (struct member){0};
        kv_quantum_init(&members[i].quantum);
        kv_quantum_wait(&members[i].quantum, &quanta);
    }
    kv_quanta_end_turn(&quanta, serve_greedily);
    for (int i = 0; i < CROWD; i++)
        n_served += members[i].n_served;
    assert_in_range(n_served, 1, CROWD / 2);
}

static void new_connection_gets_a_quantum_in_a_full_turn(void **state)
{
    struct member busy = {0}, newcomer = {0};
    (void)state;
    kv_quanta_init(&quanta);
    kv_quantum_init(&busy.quantum);
    kv_quantum_init(&newcomer.quantum);
    for (int i = 0; i < 100; i++)
        kv_quantum_charge(&busy.quantum, &quanta, KV_QUANTUM_MOST);
    kv_quantum_grant(&newcomer.quantum, &quanta);
    assert_int_equal(newcomer.quantum.left, KV_QUANTUM_LEAST);
}

static void overdraft_is_settled_before_more_is_granted(void **state)
{
    struct member member = {0};
    int n_grants = 0;
    (void)state;
    kv_quanta_init(&quanta);
    kv_quantum_init(&member.quantum);
    for (int i = 0; i < 100; i++)
        kv_quantum_charge(&member.quantum, &quanta, SIZE_MAX);
    for (; kv_quantum_is_used_up(&member.quantum); n_grants++)
        kv_quantum_grant(&member.quantum, &quanta);
    assert_in_range(n_grants, 2, 2 * KV_QUANTUM_MOST / KV_QUANTUM_LEAST);
}

static void some_waiting_connections_are_served_in_a_full_turn(void **state)
{
    struct member member = {0};
    (void)state;
    kv_quanta_init(&quanta);
    kv_quantum_init(&member.quantum);
    for (int i = 0; i < 100; i++)
        kv_quantum_charge(&member.quantum, &quanta, KV_QUANTUM_MOST);
    kv_quantum_wait(&member.quantum, &quanta);
    kv_quanta_end_turn(&quanta, serve_once);
    assert_int_equal(member.n_served, 1);
    assert_false(kv_quanta_are_waited_for(&quanta));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_connections_of_a_crowd_are_served_equally_often),
        cmocka_unit_test(turn_ends_before_a_whole_crowd_is_served),
        cmocka_unit_test(new_connection_gets_a_quantum_in_a_full_turn),
        cmocka_unit_test(overdraft_is_settled_before_more_is_granted),
        cmocka_unit_test(some_waiting_connections_are_served_in_a_full_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
