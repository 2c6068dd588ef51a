/*
 * For builds with ThreadSanitizer only. It follows longjmp(), but not the name under which a
 * fortified Lua library calls that: of each error that a script catches, frames would stay on its
 * stack of functions, until that is full.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>

void __longjmp_chk(jmp_buf env, int value) __attribute__((noreturn, visibility("default")));

void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}
