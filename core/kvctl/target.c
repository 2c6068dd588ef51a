#include "kvctl/target.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "access/token.h"
#include "base/mem.h"
#include "kvctl/contexts.h"
#include "kvctl/say.h"
#include "wire/address.h"

static const char default_url[] = "http://127.0.0.1:3000";

void kv_ctl_target_fini(struct kv_ctl_target *target)
{
    if (target->token != NULL)
        explicit_bzero(target->token, strlen(target->token));
    free(target->token);
    free(target->name);
    free(target->url);
    free(target->unix_path);
    free(target->cacert);
    free(target->cert);
    free(target->cert_key);
    *target = (struct kv_ctl_target){0};
}

/* ---- tokens ---- */

/* Returns: whether the terminal echoed input before. */
static bool hide_input(FILE *file, struct termios *before)
{
    if (tcgetattr(fileno(file), before) != 0 || (before->c_lflag & ECHO) == 0)
        return false;
    struct termios hidden = *before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    fputs("token: ", stderr);
    return tcsetattr(fileno(file), TCSAFLUSH, &hidden) == 0;
}

static char *read_token(FILE *file, const char *name, struct kv_error *reterr)
{
    char line[KV_LONGEST_TOKEN + 3];
    char *token = NULL;
    struct termios before;
    bool is_hidden = hide_input(file, &before);
    bool is_read = fgets(line, sizeof(line), file) != NULL;
    if (is_hidden) {
        tcsetattr(fileno(file), TCSAFLUSH, &before);
        fputs("\n", stderr);
    }
    if (!is_read) {
        kv_error_set(reterr, "%s: there is no token", name);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    if (kv_token_is_well_formed(kv_slice_of(line)))
        token = kv_strdup(line);
    else
        kv_error_set(reterr, "%s: a token has letters, digits and -._~+/, and = at its end", name);
    explicit_bzero(line, sizeof(line));
    return token;
}

char *kv_ctl_token_read(const char *path, struct kv_error *reterr)
{
    if (strcmp(path, "-") == 0)
        return read_token(stdin, "standard input", reterr);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        kv_error_set(reterr, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *token = read_token(file, path, reterr);
    fclose(file);
    return token;
}

static int take_token(struct kv_ctl_target *target, const char *token, const char *from,
                      struct kv_error *reterr)
{
    if (token == NULL || *token == '\0')
        return 0;
    if (!kv_token_is_well_formed(kv_slice_of(token)))
        return kv_error_set(reterr, "%s: a token has letters, digits and -._~+/, and = at its end",
                            from);
    target->token = kv_strdup(token);
    return 0;
}

/* ---- URLs ---- */

static int set_unix(struct kv_ctl_target *target, const char *path, struct kv_error *reterr)
{
    if (strncmp(path, "///", 3) == 0)
        path += 2;
    if (path[0] != '/' || path[1] == '/')
        return kv_error_set(reterr, "unix:%s: write unix:/PATH", path);
    target->unix_path = kv_strdup(path);
    target->is_local = true;
    target->url = kv_strdup("http://localhost");
    return 0;
}

/* URLs of WebSockets name the same server. */
static const char *scheme_of(const char *scheme)
{
    if (strcmp(scheme, "ws") == 0)
        return "http";
    return strcmp(scheme, "wss") == 0 ? "https" : scheme;
}

static bool has_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* Only the whole host matters: localhost.example.com can be anywhere. */
static bool is_local(CURLU *parts)
{
    static const unsigned char loopback[16] = {[15] = 1};
    char *host = NULL;
    struct kv_address address;
    if (curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return false;
    struct kv_slice text = kv_slice_of(host);
    bool is = strcasecmp(host, "localhost") == 0;
    if (host[0] == '[')
        text = (struct kv_slice){host + 1, text.len - 2};
    if (kv_address_read(text, &address))
        is = address.len == 4 ? address.bytes[0] == 127
                              : memcmp(address.bytes, loopback, sizeof(loopback)) == 0;
    curl_free(host);
    return is;
}

/* Returns: the fault; NULL: none. */
static const char *judge(CURLU *parts)
{
    char *scheme = NULL;
    const char *what = NULL;
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return "it has no scheme: write http:// or https:// before it";
    const char *meant = scheme_of(scheme);
    if (strcmp(meant, "http") != 0 && strcmp(meant, "https") != 0)
        what = "its scheme is not http, https or unix";
    else if (has_part(parts, CURLUPART_USER) || has_part(parts, CURLUPART_PASSWORD))
        what = "it holds a user or a password; tokens belong in KVSERVER_TOKEN";
    else if (has_part(parts, CURLUPART_QUERY) || has_part(parts, CURLUPART_FRAGMENT))
        what = "it must end with its host, port or path";
    else if (curl_url_set(parts, CURLUPART_SCHEME, meant, 0) != CURLUE_OK)
        what = "it is not valid";
    curl_free(scheme);
    return what;
}

static int set_http(struct kv_ctl_target *target, const char *url, struct kv_error *reterr)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    if (curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
        curl_url_cleanup(parts);
        return kv_error_set(reterr, "%s: it is not a URL: write http://HOST:PORT", url);
    }
    const char *what = judge(parts);
    if (what == NULL && curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK) {
        target->url = kv_strdup(text);
        target->is_local = is_local(parts);
        for (size_t len = strlen(target->url); len != 0 && target->url[len - 1] == '/'; len--)
            target->url[len - 1] = '\0';
    }
    curl_free(text);
    curl_url_cleanup(parts);
    return what == NULL ? 0 : kv_error_set(reterr, "%s: %s", url, what);
}

int kv_ctl_target_set_url(struct kv_ctl_target *target, const char *url, struct kv_error *reterr)
{
    target->name = kv_strdup(url);
    if (strncmp(url, "unix:", 5) == 0)
        return set_unix(target, url + 5, reterr);
    return set_http(target, url, reterr);
}

/* ---- sources ---- */

static char *copy(const char *text)
{
    return text == NULL || *text == '\0' ? NULL : kv_strdup(text);
}

static int take_context(struct kv_ctl_target *target, const struct kv_ctl_contexts *contexts,
                        const char *name, struct kv_error *reterr)
{
    if (!kv_ctl_contexts_have(contexts, name))
        return kv_error_set(reterr, "there is no context \"%s\"; see kvctl context ls", name);
    target->is_of_context = true;
    target->cacert = copy(kv_ctl_contexts_get(contexts, name, "cacert"));
    target->cert = copy(kv_ctl_contexts_get(contexts, name, "cert"));
    target->cert_key = copy(kv_ctl_contexts_get(contexts, name, "cert_key"));
    if (kv_ctl_target_set_url(target, kv_ctl_contexts_get(contexts, name, "url"), reterr) != 0)
        return -1;
    return take_token(target, kv_ctl_contexts_get(contexts, name, "token"), "the context", reterr);
}

static int take_environment(struct kv_ctl_target *target, const char *url, struct kv_error *reterr)
{
    target->cacert = copy(getenv("KVSERVER_CACERT"));
    if (kv_ctl_target_set_url(target, url, reterr) != 0)
        return -1;
    return take_token(target, getenv("KVSERVER_TOKEN"), "KVSERVER_TOKEN", reterr);
}

/* name: NULL for the current context. */
static int look_into_contexts(struct kv_ctl_target *target, const char *name,
                              struct kv_error *reterr)
{
    struct kv_ctl_contexts contexts;
    int result = kv_ctl_contexts_open(&contexts, reterr);
    if (result == 0 && name == NULL)
        name = kv_ctl_contexts_current(&contexts);
    if (result == 0)
        result = name == NULL ? take_environment(target, default_url, reterr)
                              : take_context(target, &contexts, name, reterr);
    kv_ctl_contexts_close(&contexts);
    return result;
}

static int find(struct kv_ctl_target *target, const struct kv_ctl_arguments *arguments,
                struct kv_error *reterr)
{
    const char *url = arguments->options[KV_CTL_URL];
    const char *context = arguments->options[KV_CTL_CONTEXT];
    if (url != NULL && context != NULL)
        return kv_error_set(reterr, "--url and --context exclude each other");
    if (url == NULL && context == NULL)
        url = getenv("KVSERVER_URL");
    if (url != NULL && *url != '\0')
        return take_environment(target, url, reterr);
    return look_into_contexts(target, context, reterr);
}

/* ---- files ---- */

/* The file is not opened: it may be a pipe, which can be read once. */
int kv_ctl_check_file(const char *name, const char *path, struct kv_error *reterr)
{
    struct stat file;
    if (access(path, R_OK) != 0 || stat(path, &file) != 0)
        return kv_error_set(reterr, "%s %s: %m", name, path);
    if (S_ISDIR(file.st_mode))
        return kv_error_set(reterr, "%s %s: it is a folder", name, path);
    return 0;
}

int kv_ctl_check_key(const char *cert, const char *cert_key, struct kv_error *reterr)
{
    if (cert == NULL && cert_key != NULL)
        return kv_error_set(reterr, "--cert-key needs --cert FILE, the certificate of that key");
    return 0;
}

/* Checks the files even if the server is not reached by TLS, and will not be asked for them. */
static int check_files(const struct kv_ctl_target *target, const struct kv_ctl_call *call,
                       struct kv_error *reterr)
{
    const struct {
        enum kv_ctl_option_id option;
        const char *name, *name_in_context;
        const char *path;
    } files[] = {{KV_CTL_CACERT, "--cacert", "cacert of the context:", target->cacert},
                 {KV_CTL_CERT, "--cert", "cert of the context:", target->cert},
                 {KV_CTL_CERT_KEY, "--cert-key", "cert_key of the context:", target->cert_key}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *name = files[i].name;
        if (call->arguments.options[files[i].option] == NULL)
            name = target->is_of_context ? files[i].name_in_context : "KVSERVER_CACERT:";
        if (files[i].path != NULL && kv_ctl_check_file(name, files[i].path, reterr) != 0)
            return -1;
    }
    return kv_ctl_check_key(target->cert, target->cert_key, reterr);
}

static void override(char **text, const char *by)
{
    if (by == NULL)
        return;
    free(*text);
    *text = kv_strdup(by);
}

void kv_ctl_target_warn_of_clear_text(const struct kv_ctl_target *target)
{
    if (!target->is_local && strncmp(target->url, "http:", 5) == 0)
        kv_ctl_say("warning: %s is not encrypted: whoever is on the way can read the token",
                   target->url);
}

/* Applies the options of the command line. */
static int take_options(struct kv_ctl_target *target, const struct kv_ctl_call *call,
                        struct kv_error *reterr)
{
    const char *const *options = (const char *const *)call->arguments.options;
    override(&target->cacert, options[KV_CTL_CACERT]);
    override(&target->cert, options[KV_CTL_CERT]);
    override(&target->cert_key, options[KV_CTL_CERT_KEY]);
    if (options[KV_CTL_TOKEN_FILE] == NULL)
        return 0;
    free(target->token);
    target->token = kv_ctl_token_read(options[KV_CTL_TOKEN_FILE], reterr);
    return target->token == NULL ? -1 : 0;
}

int kv_ctl_target_find(const struct kv_ctl_call *call, struct kv_ctl_target *ret,
                       struct kv_error *reterr)
{
    *ret = (struct kv_ctl_target){.timeout_ms = call->timeout_ms};
    if (find(ret, &call->arguments, reterr) != 0 || take_options(ret, call, reterr) != 0 ||
        check_files(ret, call, reterr) != 0)
        return -1;
    if (ret->token != NULL && !kv_ctl_has(call, KV_CTL_QUIET))
        kv_ctl_target_warn_of_clear_text(ret);
    return 0;
}
