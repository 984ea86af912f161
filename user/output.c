// SPDX-License-Identifier: GPL-2.0-or-later
/* A report that was cut short by a full disk never stands under the name that was asked for. */
#include "user/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int open_temporary(struct lm_output *output)
{
	mode_t mask = umask(0);
	int fd, error;

	umask(mask);
	if (asprintf(&output->temporary, "%s.XXXXXX", output->path) < 0) {
		output->temporary = NULL;
		return -ENOMEM;
	}
	fd = mkstemp(output->temporary);
	if (fd < 0) {
		error = -errno;
		goto free_name;
	}
	fchmod(fd, 0666 & ~mask);
	output->stream = fdopen(fd, "w");
	if (output->stream)
		return 0;
	error = -errno;
	unlink(output->temporary);
	close(fd);
free_name:
	free(output->temporary);
	output->temporary = NULL;
	return error;
}

int lm_output_open(const char *path, struct lm_output *output)
{
	*output = (struct lm_output){.path = path};
	if (!path) {
		output->stream = stdout;
		return 0;
	}
	if (!is_special(path))
		return open_temporary(output);
	output->stream = fopen(path, "we");
	return output->stream ? 0 : -errno;
}

int lm_output_flush(struct lm_output *output)
{
	errno = 0;
	if (fflush(output->stream) == 0 && !ferror(output->stream))
		return 0;
	return errno ? -errno : -EIO;
}

int lm_output_finish(struct lm_output *output)
{
	int error = lm_output_flush(output);

	if (!output->path)
		return error;
	if (fclose(output->stream) && !error)
		error = -errno;
	output->stream = NULL;
	if (!error && output->temporary && rename(output->temporary, output->path))
		error = -errno;
	if (error)
		lm_output_abandon(output);
	free(output->temporary);
	output->temporary = NULL;
	return error;
}

void lm_output_abandon(struct lm_output *output)
{
	if (output->path && output->stream)
		fclose(output->stream);
	output->stream = NULL;
	if (output->temporary)
		unlink(output->temporary);
	free(output->temporary);
	output->temporary = NULL;
}
