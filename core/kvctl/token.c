#include "kvctl/token.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "access/token.h"
#include "base/mem.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/target.h"

enum {
    RANDOM_BYTES = 32
};

/* Returns: owned by the caller, by free(); NULL and *reterr. */
static char *make(struct kv_error *reterr)
{
    unsigned char bytes[RANDOM_BYTES];
    char *token = kv_alloc(2 * RANDOM_BYTES + 1);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        kv_error_set(reterr, "there is no randomness: %s", strerror(errno));
        free(token);
        return NULL;
    }
    for (size_t i = 0; i < RANDOM_BYTES; i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    explicit_bzero(bytes, sizeof(bytes));
    return token;
}

static void put(const struct kv_ctl_call *call, const char *token, bool is_new)
{
    unsigned char digest[KV_TOKEN_DIGEST];
    char text[2 * KV_TOKEN_DIGEST + 1];
    kv_token_digest(kv_slice_of(token), digest);
    kv_token_print_digest(digest, text);
    if (call->format == KV_CTL_RAW)
        kv_ctl_putf("%s\n", is_new ? token : text);
    else if (call->format != KV_CTL_TEXT && is_new)
        kv_ctl_putf("{\"token\":\"%s\",\"sha256\":\"%s\"}\n", token, text);
    else if (call->format != KV_CTL_TEXT)
        kv_ctl_putf("{\"sha256\":\"%s\"}\n", text);
    else
        kv_ctl_putf("%s%s%ssha256: %s\n", is_new ? "token: " : "", is_new ? token : "",
                    is_new ? "\n" : "", text);
}

int kv_ctl_token_run(struct kv_ctl_call *call)
{
    struct kv_error error;
    bool is_new =
        call->arguments.n_operands == 0 || strcmp(call->arguments.operands[0], "new") == 0;
    const char *path = call->arguments.options[KV_CTL_TOKEN_FILE];
    char *token = is_new ? make(&error) : kv_ctl_token_read(path != NULL ? path : "-", &error);
    if (token == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    int code = KV_CTL_DONE;
    if (strlen(token) < KV_SHORTEST_TOKEN)
        code =
            kv_ctl_fail(KV_CTL_USAGE, "fewer than %d characters can be guessed", KV_SHORTEST_TOKEN);
    else
        put(call, token, is_new);
    explicit_bzero(token, strlen(token));
    free(token);
    return code;
}
