// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The web configuration file, by the exporter-toolkit's docs/web-configuration.md. Each key has a row in a table and a
 * function that takes its value. Whether certificate and key belong together is asked of GnuTLS here, so that a reload
 * that cannot work changes nothing.
 */
#include "user/web_config.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/yaml.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define WHY_LEN 256
#define PATH_SHOWN 80 /* of a long path its end */
#define PEM_MAX_BYTES (256u << 10)
#define USERS_MAX 256
#define NAME_MAX_BYTES 256
#define HEADER_VALUE_MAX_BYTES 2048
#define BCRYPT_LEN 60
#define BCRYPT_COST_MIN 4 /* bcrypt has none below */

struct reading {
	const char *path;
	char *why;
	struct lm_web_config *config;
	/* how TLS is to be, until all of it is known */
	int version_min, version_max;
	bool have_tls_key, prefer_server, want_client_certificate;
	unsigned int client_line;
	char groups[160]; /* for GnuTLS, "" = its own */
};

typedef int take_value(struct reading *reading, const struct lm_yaml_node *node);

struct key_row {
	const char *name;
	take_value *take;
};

static const char *const header_names[LM_WEB_HEADERS] = {"Content-Security-Policy", "X-Frame-Options",
	"X-Content-Type-Options", "X-XSS-Protection", "Strict-Transport-Security"};

const char *lm_web_header_name(enum lm_web_header header)
{
	return header_names[header];
}

static int complain(const struct reading *reading, unsigned int line, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int complain(const struct reading *reading, unsigned int line, int error, const char *format, ...)
{
	size_t path_len = strlen(reading->path);
	const char *shown = path_len > PATH_SHOWN ? reading->path + path_len - PATH_SHOWN : reading->path;
	va_list args;
	int len;

	if (line)
		len = snprintf(reading->why, WHY_LEN, "%s:%u: ", shown, line);
	else
		len = snprintf(reading->why, WHY_LEN, "%s: ", shown);
	va_start(args, format);
	vsnprintf(reading->why + len, WHY_LEN - (size_t)len, format, args);
	va_end(args);
	for (char *c = reading->why; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return error;
}

static int want_text(const struct reading *reading, const struct lm_yaml_node *node)
{
	if (node->kind == LM_YAML_SCALAR)
		return 0;
	return complain(reading, node->line, -EINVAL, "%.60s wants one value, not a list or mapping", node->key);
}

static int set_text(const struct reading *reading, const struct lm_yaml_node *node, char **text)
{
	int error = want_text(reading, node);

	if (error)
		return error;
	*text = strdup(node->text);
	return *text ? 0 : complain(reading, node->line, -ENOMEM, "out of memory");
}

static int take_bool(const struct reading *reading, const struct lm_yaml_node *node, bool *value)
{
	int error = want_text(reading, node);

	if (error)
		return error;
	if (strcasecmp(node->text, "true") == 0)
		*value = true;
	else if (strcasecmp(node->text, "false") == 0)
		*value = false;
	else
		return complain(
			reading, node->line, -EINVAL, "%s is \"%.40s\": say true or false", node->key, node->text);
	return 0;
}

/* Hands each child to the row of its name. */
static int take_keys(
	struct reading *reading, const struct lm_yaml_node *node, const struct key_row *rows, const char *where)
{
	if (node->kind == LM_YAML_SCALAR && !*node->text)
		return 0;
	if (node->kind != LM_YAML_MAPPING)
		return complain(reading, node->line, -EINVAL, "%s wants keys with values", where);
	for (size_t i = 0; i < node->children_len; i++) {
		const struct lm_yaml_node *child = &node->children[i];
		const struct key_row *row = rows;
		int error;

		while (row->name && strcmp(row->name, child->key) != 0)
			row++;
		if (!row->name)
			return complain(reading, child->line, -EINVAL,
				"%.60s is no key of %s in this format: is it misspelled?", child->key, where);
		error = row->take(reading, child);
		if (error)
			return error;
	}
	return 0;
}

/* A file that the configuration names: its path, relative to that one's folder. NULL: no memory. */
static char *path_beside(const struct reading *reading, const char *name)
{
	const char *slash = strrchr(reading->path, '/');
	char *path;

	if (*name == '/' || !slash)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - reading->path), reading->path, name) < 0)
		return NULL;
	return path;
}

/* A regular file's text. -EFBIG, -EISDIR, -errno. */
static int read_small_file(const char *path, char **text)
{
	/* non-blocking: a FIFO must not stop a reload */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
	char *bytes = NULL;
	size_t len = 0;
	struct stat stat;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) < 0)
		error = -errno;
	else if (!S_ISREG(stat.st_mode))
		error = S_ISDIR(stat.st_mode) ? -EISDIR : -EINVAL;
	if (!error) {
		bytes = malloc(PEM_MAX_BYTES + 1);
		error = bytes ? 0 : -ENOMEM;
	}
	while (!error) {
		ssize_t got = read(fd, bytes + len, PEM_MAX_BYTES + 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = -errno;
		if (got <= 0)
			break;
		len += (size_t)got;
		if (len > PEM_MAX_BYTES)
			error = -EFBIG;
	}
	close(fd);
	if (error) {
		free(bytes);
		return error;
	}
	bytes[len] = '\0';
	*text = bytes;
	return 0;
}

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

static int take_pem(struct reading *reading, const struct lm_yaml_node *node, bool is_file, char **pem)
{
	int error = want_text(reading, node);
	char *path;

	if (error)
		return error;
	reading->have_tls_key = true;
	if (*pem)
		return complain(reading, node->line, -EINVAL, "%s is given twice, inline and as a file: leave one out",
			node->key);
	if (!*node->text)
		return complain(reading, node->line, -EINVAL, "%s is empty", node->key);
	if (!is_file)
		return set_text(reading, node, pem);
	path = path_beside(reading, node->text);
	error = path ? read_small_file(path, pem) : -ENOMEM;
	free(path);
	if (error)
		return complain(reading, node->line, error, "%s: cannot read %.100s: %s", node->key, node->text,
			strerror(-error));
	return 0;
}

static int take_cert(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_pem(reading, node, false, &reading->config->certificate);
}

static int take_cert_file(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_pem(reading, node, true, &reading->config->certificate);
}

static int take_key(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_pem(reading, node, false, &reading->config->key);
}

static int take_key_file(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_pem(reading, node, true, &reading->config->key);
}

static int take_client_ca(struct reading *reading, const struct lm_yaml_node *node)
{
	reading->client_line = node->line;
	return take_pem(reading, node, false, &reading->config->client_ca);
}

static int take_client_ca_file(struct reading *reading, const struct lm_yaml_node *node)
{
	reading->client_line = node->line;
	return take_pem(reading, node, true, &reading->config->client_ca);
}

static int take_client_auth_type(struct reading *reading, const struct lm_yaml_node *node)
{
	int error = want_text(reading, node);

	if (error)
		return error;
	reading->have_tls_key = true;
	reading->client_line = node->line;
	if (strcmp(node->text, "RequireAndVerifyClientCert") == 0)
		reading->want_client_certificate = true;
	else if (*node->text && strcmp(node->text, "NoClientCert") != 0)
		return complain(reading, node->line, -EINVAL,
			"client_auth_type %.40s is not done here: it proves nothing. Say RequireAndVerifyClientCert "
			"or NoClientCert",
			node->text);
	return 0;
}

static int take_version(struct reading *reading, const struct lm_yaml_node *node, int *version)
{
	static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
	int error = want_text(reading, node);

	if (error)
		return error;
	reading->have_tls_key = true;
	for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
		if (strcmp(node->text, names[i]) == 0) {
			*version = i;
			return 0;
		}
	}
	return complain(reading, node->line, -EINVAL, "%s is \"%.40s\": say TLS10, TLS11, TLS12 or TLS13", node->key,
		node->text);
}

static int take_min_version(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_version(reading, node, &reading->version_min);
}

static int take_max_version(struct reading *reading, const struct lm_yaml_node *node)
{
	return take_version(reading, node, &reading->version_max);
}

static int refuse_cipher_suites(struct reading *reading, const struct lm_yaml_node *node)
{
	reading->have_tls_key = true;
	if (node->kind != LM_YAML_MAPPING && !node->children_len && (!node->text || !*node->text))
		return 0; /* an empty list is the default */
	return complain(reading, node->line, -EINVAL,
		"cipher_suites cannot be chosen here: GnuTLS's own are used. Leave it out, or set min_version: TLS13");
}

static int take_prefer_server(struct reading *reading, const struct lm_yaml_node *node)
{
	reading->have_tls_key = true;
	return take_bool(reading, node, &reading->prefer_server);
}

static int take_curves(struct reading *reading, const struct lm_yaml_node *node)
{
	static const struct {
		const char *name, *group;
	} curves[] = {{"CurveP256", ":+GROUP-SECP256R1"}, {"CurveP384", ":+GROUP-SECP384R1"},
		{"CurveP521", ":+GROUP-SECP521R1"}, {"X25519", ":+GROUP-X25519"}};
	unsigned int seen = 0;

	reading->have_tls_key = true;
	if (node->kind == LM_YAML_MAPPING || (node->kind == LM_YAML_SCALAR && *node->text))
		return complain(reading, node->line, -EINVAL, "curve_preferences wants a list");
	for (size_t i = 0; i < node->children_len; i++) {
		const struct lm_yaml_node *child = &node->children[i];
		size_t j = 0;

		while (j < ARRAY_LEN(curves) &&
			(child->kind != LM_YAML_SCALAR || strcmp(child->text, curves[j].name) != 0))
			j++;
		if (j == ARRAY_LEN(curves))
			return complain(reading, child->line, -EINVAL,
				"curve_preferences has \"%.40s\": say CurveP256, CurveP384, CurveP521 or X25519",
				child->kind == LM_YAML_SCALAR ? child->text : "a list");
		if (!(seen & 1u << j))
			strcat(reading->groups, curves[j].group); /* each once: they fit */
		seen |= 1u << j;
	}
	return 0;
}

static int refuse_sans(struct reading *reading, const struct lm_yaml_node *node)
{
	return complain(reading, node->line, -EINVAL,
		"client_allowed_sans is not done here: let client_ca_file be an authority that signs only those "
		"clients");
}

static int take_tls(struct reading *reading, const struct lm_yaml_node *node)
{
	static const struct key_row rows[] = {{"cert", take_cert}, {"cert_file", take_cert_file}, {"key", take_key},
		{"key_file", take_key_file}, {"client_ca", take_client_ca}, {"client_ca_file", take_client_ca_file},
		{"client_auth_type", take_client_auth_type}, {"client_allowed_sans", refuse_sans},
		{"min_version", take_min_version}, {"max_version", take_max_version},
		{"cipher_suites", refuse_cipher_suites}, {"prefer_server_cipher_suites", take_prefer_server},
		{"curve_preferences", take_curves}, {NULL, NULL}};
	int error = take_keys(reading, node, rows, "tls_server_config");

	if (error || !reading->have_tls_key)
		return error;
	if (!reading->config->certificate)
		return complain(reading, node->line, -EINVAL, "tls_server_config wants a cert_file");
	if (!reading->config->key)
		return complain(reading, node->line, -EINVAL, "tls_server_config wants a key_file");
	if (reading->version_min > reading->version_max)
		return complain(
			reading, node->line, -EINVAL, "min_version is above max_version: no client could connect");
	if (reading->want_client_certificate && !reading->config->client_ca)
		return complain(reading, reading->client_line, -EINVAL,
			"client_auth_type RequireAndVerifyClientCert wants a client_ca_file");
	if (reading->config->client_ca && !reading->want_client_certificate)
		return complain(reading, reading->client_line, -EINVAL,
			"client_ca_file is not used without client_auth_type: RequireAndVerifyClientCert");
	reading->config->tls = true;
	return 0;
}

static int take_http2(struct reading *reading, const struct lm_yaml_node *node)
{
	bool wanted; /* an offer, which clients take only if the server names it: HTTP/1.1 is what they get */

	return take_bool(reading, node, &wanted);
}

static int check_header(const struct reading *reading, const struct lm_yaml_node *node, enum lm_web_header header)
{
	const char *right = NULL;

	if (header == LM_WEB_CONTENT_TYPE_OPTIONS && strcasecmp(node->text, "nosniff") != 0)
		right = "nosniff";
	if (header == LM_WEB_FRAME_OPTIONS && strcasecmp(node->text, "deny") != 0 &&
		strcasecmp(node->text, "sameorigin") != 0)
		right = "deny or sameorigin";
	if (right)
		return complain(reading, node->line, -EINVAL, "%s is \"%.40s\": say %s", node->key, node->text, right);
	if (strlen(node->text) > HEADER_VALUE_MAX_BYTES)
		return complain(
			reading, node->line, -EINVAL, "%s has more than %d bytes", node->key, HEADER_VALUE_MAX_BYTES);
	for (const char *c = node->text; *c; c++) {
		if (*c < ' ' || *c > '~')
			return complain(reading, node->line, -EINVAL,
				"%s has a line break or a character that is not ASCII", node->key);
	}
	return 0;
}

static int take_header(struct reading *reading, const struct lm_yaml_node *node)
{
	enum lm_web_header header = 0;
	int error = want_text(reading, node);

	if (error || !*node->text)
		return error; /* blank: unset */
	while (strcmp(header_names[header], node->key) != 0)
		header++;
	error = check_header(reading, node, header);
	return error ? error : set_text(reading, node, &reading->config->headers[header]);
}

static int take_headers(struct reading *reading, const struct lm_yaml_node *node)
{
	struct key_row rows[LM_WEB_HEADERS + 1] = {{NULL, NULL}};

	for (int i = 0; i < LM_WEB_HEADERS; i++)
		rows[i] = (struct key_row){header_names[i], take_header};
	return take_keys(reading, node, rows, "headers");
}

static int take_http(struct reading *reading, const struct lm_yaml_node *node)
{
	static const struct key_row rows[] = {{"http2", take_http2}, {"headers", take_headers}, {NULL, NULL}};

	return take_keys(reading, node, rows, "http_server_config");
}

static int check_user(const struct reading *reading, const struct lm_yaml_node *node)
{
	static const char alphabet[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *hash = node->text;
	int cost;

	if (strchr(node->key, ':') || strlen(node->key) > NAME_MAX_BYTES)
		return complain(reading, node->line, -EINVAL,
			"the name of user %.40s has a colon or more than %d bytes: no client could send it", node->key,
			NAME_MAX_BYTES);
	if (strlen(hash) != BCRYPT_LEN || hash[0] != '$' || hash[1] != '2' || !strchr("aby", hash[2]) ||
		hash[3] != '$' || hash[6] != '$' || strspn(hash + 7, alphabet) != BCRYPT_LEN - 7 || hash[4] < '0' ||
		hash[4] > '9' || hash[5] < '0' || hash[5] > '9')
		return complain(reading, node->line, -EINVAL,
			"the password of user %.40s is no bcrypt hash ($2y$10$…): make one with htpasswd -nBC 10 \"\"",
			node->key);
	cost = (hash[4] - '0') * 10 + hash[5] - '0';
	if (cost < BCRYPT_COST_MIN || cost > LM_WEB_BCRYPT_COST_MAX)
		return complain(reading, node->line, -EINVAL,
			"the hash of user %.40s has cost %d, %s: make one with htpasswd -nBC 10 \"\"", node->key, cost,
			cost < BCRYPT_COST_MIN ? "which bcrypt does not have"
					       : "more than 14, which would stop the watching for seconds");
	return 0;
}

static int take_users(struct reading *reading, const struct lm_yaml_node *node)
{
	struct lm_web_config *config = reading->config;

	if (node->kind == LM_YAML_SCALAR && !*node->text)
		return 0;
	if (node->kind != LM_YAML_MAPPING)
		return complain(reading, node->line, -EINVAL, "basic_auth_users wants NAME: HASH");
	if (node->children_len > USERS_MAX)
		return complain(reading, node->line, -EINVAL, "basic_auth_users has more than %d users", USERS_MAX);
	config->users = calloc(node->children_len, sizeof(*config->users));
	if (node->children_len && !config->users)
		return complain(reading, node->line, -ENOMEM, "out of memory");
	for (size_t i = 0; i < node->children_len; i++) {
		const struct lm_yaml_node *child = &node->children[i];
		struct lm_web_user *user = &config->users[config->users_len++];
		int error = want_text(reading, child);

		if (!error)
			error = check_user(reading, child);
		if (!error)
			error = set_text(reading, child, &user->hash);
		if (error)
			return error;
		user->name = strdup(child->key);
		if (!user->name)
			return complain(reading, child->line, -ENOMEM, "out of memory");
	}
	return 0;
}

static int refuse_rate_limit(struct reading *reading, const struct lm_yaml_node *node)
{
	return complain(reading, node->line, -EINVAL,
		"rate_limit is not done here: connections and work are bounded without it. Leave it out");
}

/* What clients and server agree on, in GnuTLS's words. */
static void set_priorities(struct reading *reading)
{
	static const char *const versions[] = {"1.0", "1.1", "1.2", "1.3"};
	char *out = reading->config->priorities;
	size_t size = sizeof(reading->config->priorities);
	int len = snprintf(out, size, "NORMAL:-VERS-ALL");

	for (int i = reading->version_max; i >= reading->version_min; i--)
		len += snprintf(out + len, size - (size_t)len, ":+VERS-TLS%s", versions[i]);
	snprintf(out + len, size - (size_t)len, "%s%s%s", *reading->groups ? ":-GROUP-ALL" : "", reading->groups,
		reading->prefer_server ? ":%SERVER_PRECEDENCE" : "");
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned int)strlen(text)};
}

/* The first of the certificates: the server's own. */
static int set_leaf(struct lm_web_config *config)
{
	gnutls_datum_t pem = datum(config->certificate);
	gnutls_x509_crt_t *list;
	unsigned int len;
	int error = gnutls_x509_crt_list_import2(&list, &len, &pem, GNUTLS_X509_FMT_PEM, 0);

	if (error < 0)
		return error;
	config->leaf = len ? list[0] : NULL;
	for (unsigned int i = 1; i < len; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return config->leaf ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;
}

/* What GnuTLS says of all this. */
static int check_tls(const struct reading *reading)
{
	struct lm_web_config *config = reading->config;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priorities;
	gnutls_datum_t certificate = datum(config->certificate), key = datum(config->key), client_ca;
	int error = gnutls_certificate_allocate_credentials(&credentials), result = 0;

	if (error < 0)
		return complain(reading, 0, -ENOMEM, "%s", gnutls_strerror(error));
	error = set_leaf(config);
	if (error < 0)
		result = complain(
			reading, 0, -EINVAL, "cert_file: it is no certificate in PEM: %s", gnutls_strerror(error));
	if (!result) {
		error = gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
		if (error < 0)
			result = complain(reading, 0, -EINVAL, "key_file: it is no key of cert_file in PEM: %s",
				gnutls_strerror(error));
	}
	if (!result && config->client_ca) {
		client_ca = datum(config->client_ca);
		error = gnutls_certificate_set_x509_trust_mem(credentials, &client_ca, GNUTLS_X509_FMT_PEM);
		if (error <= 0) /* how many it found */
			result = complain(reading, 0, -EINVAL, "client_ca_file: it is no certificate in PEM: %s",
				gnutls_strerror(error));
	}
	if (!result) {
		error = gnutls_priority_init(&priorities, config->priorities, NULL);
		if (error < 0)
			result = complain(reading, 0, -EINVAL, "tls_server_config: GnuTLS does not take \"%s\": %s",
				config->priorities, gnutls_strerror(error));
		else
			gnutls_priority_deinit(priorities);
	}
	gnutls_certificate_free_credentials(credentials);
	return result;
}

static int take_file(struct reading *reading, const struct lm_yaml_node *root)
{
	static const struct key_row rows[] = {{"tls_server_config", take_tls}, {"http_server_config", take_http},
		{"basic_auth_users", take_users}, {"rate_limit", refuse_rate_limit}, {NULL, NULL}};
	int error = take_keys(reading, root, rows, "the file");

	if (error || !reading->config->tls)
		return error;
	set_priorities(reading);
	return check_tls(reading);
}

int lm_web_config_read(const char *path, struct lm_web_config **config, char why[256])
{
	struct reading reading = {.path = path, .why = why, .version_min = 2, .version_max = 3, .prefer_server = true};
	struct lm_yaml *yaml;
	char yaml_why[WHY_LEN] = "";
	struct stat stat;
	FILE *file;
	int fd, error;

	reading.config = calloc(1, sizeof(*reading.config));
	if (!reading.config)
		return complain(&reading, 0, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		error = complain(&reading, 0, -errno, "the web configuration cannot be opened: %s", strerror(errno));
		goto free_config;
	}
	/* a FIFO that nobody writes to would read as an empty file: no users, no TLS */
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
		error = complain(&reading, 0, -EINVAL, "the web configuration is no regular file");
		close(fd);
		goto free_config;
	}
	file = fdopen(fd, "r");
	if (!file) {
		error = complain(&reading, 0, -errno, "cannot be read: %s", strerror(errno));
		close(fd);
		goto free_config;
	}
	error = lm_yaml_read(file, &yaml, yaml_why);
	fclose(file);
	if (error) {
		complain(&reading, 0, error, "%s", yaml_why);
		goto free_config;
	}
	error = take_file(&reading, lm_yaml_root(yaml));
	lm_yaml_free(yaml);
	if (error)
		goto free_config;
	*config = reading.config;
	return 0;

free_config:
	lm_web_config_free(reading.config);
	return error;
}

void lm_web_config_free(struct lm_web_config *config)
{
	if (!config)
		return;
	free(config->certificate);
	forget(&config->key);
	free(config->client_ca);
	if (config->leaf)
		gnutls_x509_crt_deinit(config->leaf);
	for (int i = 0; i < LM_WEB_HEADERS; i++)
		free(config->headers[i]);
	for (size_t i = 0; i < config->users_len; i++) {
		free(config->users[i].name);
		forget(&config->users[i].hash);
	}
	free(config->users);
	free(config);
}

bool lm_web_config_names(const struct lm_web_config *config, const char *host)
{
	return config->leaf && gnutls_x509_crt_check_hostname(config->leaf, host);
}
