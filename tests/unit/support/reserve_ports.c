/*
 * reserve_ports N: prints N reserved ports, and keeps them until its standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/client/port.h"

int main(int argc, char **argv)
{
    int n = argc == 2 ? atoi(argv[1]) : 0;
    for (int i = 0; i < n; i++)
        printf("%d ", kv_test_port_reserve());
    puts("");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return EXIT_SUCCESS;
}
