#include "daemon/hash_token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <termios.h>
#include <unistd.h>

#include "access/token.h"

/* Returns: whether the terminal echoed input before. */
static bool hide_input(struct termios *before)
{
    if (tcgetattr(STDIN_FILENO, before) != 0 || (before->c_lflag & ECHO) == 0)
        return false;
    struct termios hidden = *before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
}

/* Returns: the length, without the end of the line; -1 and *reterr. */
static ssize_t read_line(char *line, size_t size, struct kv_error *reterr)
{
    errno = 0;
    if (fgets(line, (int)size, stdin) == NULL)
        return kv_error_set(reterr,
                            ferror(stdin) ? "cannot read the token: %s"
                                          : "there is no token on the standard input%s",
                            ferror(stdin) ? strerror(errno) : "");
    return (ssize_t)strcspn(line, "\r\n");
}

static ssize_t ask(char *line, size_t size, struct kv_error *reterr)
{
    struct termios before;
    fputs("token: ", stderr);
    bool was_shown = hide_input(&before);
    ssize_t len = read_line(line, size, reterr);
    if (was_shown)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputs("\n", stderr);
    return len;
}

static int print_digest(struct kv_slice token, struct kv_error *reterr)
{
    unsigned char digest[KV_TOKEN_DIGEST];
    char text[2 * KV_TOKEN_DIGEST + 1];
    if (!kv_token_is_well_formed(token))
        return kv_error_set(reterr,
                            "a token has letters, digits and -._~+/, and = at its end; at most "
                            "%d bytes",
                            KV_LONGEST_TOKEN);
    if (token.len < KV_SHORTEST_TOKEN)
        return kv_error_set(reterr,
                            "the token has %zu characters; fewer than %d can be guessed (try: "
                            "openssl rand -hex 32)",
                            token.len, KV_SHORTEST_TOKEN);
    kv_token_digest(token, digest);
    kv_token_print_digest(digest, text);
    printf("sha256: %s\n", text);
    return 0;
}

int kv_hash_token_run(struct kv_error *reterr)
{
    char line[KV_LONGEST_TOKEN + 3];
    ssize_t len = isatty(STDIN_FILENO) ? ask(line, sizeof(line), reterr)
                                       : read_line(line, sizeof(line), reterr);
    int result = len < 0 ? -1 : print_digest((struct kv_slice){line, (size_t)len}, reterr);
    OPENSSL_cleanse(line, sizeof(line));
    return result;
}
