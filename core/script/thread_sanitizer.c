/*
 * Only for builds with ThreadSanitizer. It intercepts longjmp(), but not the name under which a
 * fortified Lua library calls that: each error that a script catches would leave frames on its
 * stack of functions, until that is full.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>

void __longjmp_chk(jmp_buf env, int value) __attribute__((noreturn, visibility("default")));

void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}
