// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DWARF first: it knows what was inlined, and lines. Else the symbol tables. Each
 * address is asked for once (the client keeps the answers), so the tables are
 * searched as they lie in the file and cost no memory.
 */
#include "user/resolver/symbols.h"

#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "user/resolver/names.h"

#define LOOKS_AT_CLOCK 16384 /* symbols between two of them: about a millisecond */
#define STARTS_MAX (1u << 22)
#define DEPTH_MAX 64 /* of nested namespaces, classes and blocks */

struct symbol {
	GElf_Sym sym;
	const char *name;
};

static unsigned leading_underscores(const char *name)
{
	return strspn(name, "_");
}

/* Of two symbols that hold the address: the one that starts later, then the public name. */
static bool is_better(const struct symbol *found, const struct symbol *best)
{
	unsigned found_bind = GELF_ST_BIND(found->sym.st_info), best_bind = GELF_ST_BIND(best->sym.st_info);

	if (!best->name || found->sym.st_value != best->sym.st_value)
		return !best->name || found->sym.st_value > best->sym.st_value;
	if ((found_bind == STB_LOCAL) != (best_bind == STB_LOCAL))
		return best_bind == STB_LOCAL;
	return leading_underscores(found->name) < leading_underscores(best->name);
}

static bool is_code(const GElf_Sym *sym)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

typedef void symbol_visitor(Elf *elf, const GElf_Shdr *table, const GElf_Sym *sym, void *context);

/* Visits the code symbols of the tables of a type. A table that takes too long is left in its middle. */
static void visit_symbols(const struct lm_elf *module, Elf *elf, uint32_t type, symbol_visitor *visitor, void *context)
{
	Elf_Scn *section = NULL;
	GElf_Shdr table;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		size_t count;

		if (!gelf_getshdr(section, &table) || table.sh_type != type || !table.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		count = data ? data->d_size / table.sh_entsize : 0;
		for (size_t i = 0; i < count; i++) {
			GElf_Sym sym;

			if (i % LOOKS_AT_CLOCK == LOOKS_AT_CLOCK - 1 && lm_elf_expired(module))
				return;
			if (gelf_getsym(data, i, &sym) && sym.st_name && is_code(&sym))
				visitor(elf, &table, &sym, context);
		}
	}
}

struct search {
	uint64_t vaddr;
	struct symbol sized, unsized; /* name NULL: none yet */
};

static void consider(Elf *elf, const GElf_Shdr *table, const GElf_Sym *sym, void *context)
{
	struct search *search = context;
	struct symbol symbol = {.sym = *sym};
	struct symbol *best = sym->st_size ? &search->sized : &search->unsized;

	if (sym->st_value > search->vaddr || (sym->st_size && search->vaddr - sym->st_value >= sym->st_size))
		return;
	symbol.name = elf_strptr(elf, table->sh_link, sym->st_name);
	if (symbol.name && *symbol.name && is_better(&symbol, best))
		*best = symbol;
}

/* Hand-written assembly gives its functions no size: the nearest one before the address in the same section. */
static bool in_section_of(Elf *elf, const struct symbol *symbol, uint64_t vaddr)
{
	Elf_Scn *section = elf_getscn(elf, symbol->sym.st_shndx);
	GElf_Shdr shdr;

	return section && gelf_getshdr(section, &shdr) && shdr.sh_flags & SHF_EXECINSTR &&
	       vaddr - shdr.sh_addr < shdr.sh_size;
}

static bool find_symbol(struct lm_elf *elf, uint64_t vaddr, struct symbol *found)
{
	struct search search = {.vaddr = vaddr};

	visit_symbols(elf, elf->elf, SHT_SYMTAB, consider, &search);
	if (!search.sized.name && lm_elf_debug(elf))
		visit_symbols(elf, elf->debug_elf, SHT_SYMTAB, consider, &search);
	/* the tables of a stripped file have gaps: there the nearest one before says nothing */
	if (!search.sized.name && search.unsized.name && in_section_of(elf->elf, &search.unsized, vaddr))
		search.sized = search.unsized;
	if (!search.sized.name)
		visit_symbols(elf, elf->elf, SHT_DYNSYM, consider, &search);
	*found = search.sized;
	return found->name;
}

struct starts {
	uint64_t *vaddrs;
	size_t len, room;
};

static void add_start(Elf *elf, const GElf_Shdr *table, const GElf_Sym *sym, void *context)
{
	struct starts *starts = context;

	(void)elf, (void)table;
	if (starts->len == starts->room) {
		size_t larger = starts->room ? starts->room * 2 : 1024;
		uint64_t *grown = larger <= STARTS_MAX ? realloc(starts->vaddrs, larger * sizeof(*grown)) : NULL;

		if (!grown)
			return;
		starts->vaddrs = grown;
		starts->room = larger;
	}
	starts->vaddrs[starts->len++] = sym->st_value;
}

static int compare_starts(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void index_starts(struct lm_elf *elf)
{
	struct starts starts = {.vaddrs = malloc(sizeof(uint64_t)), .room = 1};

	if (!starts.vaddrs)
		return;
	visit_symbols(elf, elf->elf, SHT_SYMTAB, add_start, &starts);
	visit_symbols(elf, elf->elf, SHT_DYNSYM, add_start, &starts);
	qsort(starts.vaddrs, starts.len, sizeof(starts.vaddrs[0]), compare_starts);
	elf->starts = starts.vaddrs;
	elf->starts_len = starts.len;
}

bool lm_symbols_start_between(struct lm_elf *elf, uint64_t low, uint64_t high)
{
	size_t at = 0, end;

	if (!elf->starts)
		index_starts(elf);
	for (end = elf->starts_len; at < end;) {
		size_t middle = at + (end - at) / 2;

		if (elf->starts[middle] < low)
			at = middle + 1;
		else
			end = middle;
	}
	return at < elf->starts_len && elf->starts[at] <= high;
}

enum lm_symbols_start lm_symbols_is_start(struct lm_elf *elf, uint64_t vaddr)
{
	static const char *const names[] = {"_start", "_start_c", "start", "clone", "__clone", "clone3", "__clone3"};
	struct symbol symbol;

	if (!find_symbol(elf, vaddr, &symbol))
		return LM_SYMBOLS_START_UNKNOWN;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(symbol.name, names[i]) == 0)
			return LM_SYMBOLS_START;
	}
	return LM_SYMBOLS_NO_START;
}

/* A DIE that may hold functions: namespaces, classes, Fortran and Rust modules. */
static bool is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_module || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type;
}

static bool find_function(const struct lm_elf *elf, Dwarf_Die *scope, uint64_t vaddr, int depth, Dwarf_Die *function)
{
	Dwarf_Die child;

	if (depth == DEPTH_MAX || dwarf_child(scope, &child))
		return false;
	do {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_subprogram && dwarf_haspc(&child, vaddr) > 0) {
			*function = child;
			return true;
		}
		if (is_scope(tag) && find_function(elf, &child, vaddr, depth + 1, function))
			return true;
	} while (!lm_elf_expired(elf) && dwarf_siblingof(&child, &child) == 0);
	return false;
}

/* The chain from the function inwards: inlined calls that hold the address. Returns its length, functions[0] given. */
static size_t find_inlined(uint64_t vaddr, Dwarf_Die *functions, size_t max)
{
	Dwarf_Die scope = functions[0], child;
	size_t len = 1;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		bool entered = false;

		if (dwarf_child(&scope, &child))
			return len;
		do {
			int tag = dwarf_tag(&child);

			if ((tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
				    tag != DW_TAG_try_block && tag != DW_TAG_catch_block) ||
				dwarf_haspc(&child, vaddr) <= 0)
				continue;
			if (tag == DW_TAG_inlined_subroutine) {
				if (len == max)
					return len;
				functions[len++] = child;
			}
			scope = child;
			entered = true;
			break;
		} while (dwarf_siblingof(&child, &child) == 0);
		if (!entered)
			return len;
	}
	return len;
}

static void name_function(Dwarf_Die *die, char name[LM_TEXT_MAX + 1])
{
	Dwarf_Attribute attribute;

	const char *linkage = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
		dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		linkage = dwarf_formstring(&attribute);
	/* that of a C function is an alias of its library (__GI___libc_read) */
	if (lm_name_is_mangled(linkage))
		lm_name_plain(linkage, name);
	else
		lm_name_copy(dwarf_diename(die), name);
}

/* libc's own names of its functions (___pthread_cond_wait) are known to few: the name that programs call them by. */
static void prefer_public_name(struct lm_elf *elf, uint64_t vaddr, uint64_t start, char name[LM_TEXT_MAX + 1])
{
	struct search search = {.vaddr = vaddr};
	const char *public;

	if (name[0] != '_')
		return;
	visit_symbols(elf, elf->elf, SHT_DYNSYM, consider, &search);
	public = search.sized.name;
	if (public && search.sized.sym.st_value == start && leading_underscores(public) < leading_underscores(name))
		lm_name_plain(public, name);
}

/* Where an inlined function was called, which is the line of the function around it. */
static void fill_call_site(Dwarf_Die *unit, Dwarf_Die *inlined, struct lm_symbol_line *line)
{
	Dwarf_Attribute attribute;
	Dwarf_Word number;
	Dwarf_Files *files;
	size_t files_len;

	if (dwarf_attr(inlined, DW_AT_call_line, &attribute) && dwarf_formudata(&attribute, &number) == 0)
		line->line = number;
	if (dwarf_attr(inlined, DW_AT_call_file, &attribute) && dwarf_formudata(&attribute, &number) == 0 &&
		dwarf_getsrcfiles(unit, &files, &files_len) == 0 && number < files_len)
		lm_name_copy(dwarf_filesrc(files, number, NULL, NULL), line->file);
}

static void fill_source_line(Dwarf_Die *unit, uint64_t vaddr, struct lm_symbol_line *line)
{
	Dwarf_Line *source = dwarf_getsrc_die(unit, vaddr);
	int number;

	if (!source)
		return;
	lm_name_copy(dwarf_linesrc(source, NULL, NULL), line->file);
	if (dwarf_lineno(source, &number) == 0 && number > 0)
		line->line = number;
}

static size_t find_in_dwarf(
	struct lm_elf *elf, uint64_t vaddr, struct lm_symbol_line *lines, size_t max, uint64_t *start)
{
	Dwarf_Die unit, functions[LM_INLINED_MAX];
	Dwarf_Addr low;
	size_t len;

	if (!lm_elf_unit(elf, vaddr, &unit) || !find_function(elf, &unit, vaddr, 0, &functions[0]))
		return 0;
	len = find_inlined(vaddr, functions, max < LM_INLINED_MAX ? max : LM_INLINED_MAX);
	for (size_t i = 0; i < len; i++) {
		struct lm_symbol_line *line = &lines[len - 1 - i];

		memset(line, 0, sizeof(*line));
		name_function(&functions[i], line->name);
		line->inlined = i > 0;
		if (i + 1 < len)
			fill_call_site(&unit, &functions[i + 1], line);
		else
			fill_source_line(&unit, vaddr, line);
	}
	if (dwarf_lowpc(&functions[0], &low) == 0) {
		*start = low;
		prefer_public_name(elf, vaddr, low, lines[len - 1].name);
	}
	return len;
}

size_t lm_symbols_find(struct lm_elf *elf, uint64_t vaddr, struct lm_symbol_line *lines, size_t max, uint64_t *start)
{
	struct symbol symbol;
	size_t len;

	*start = 0;
	len = find_in_dwarf(elf, vaddr, lines, max, start);
	if (len && lines[len - 1].name[0])
		return len;
	if (!find_symbol(elf, vaddr, &symbol))
		return len;
	if (len) { /* its name lies in a file that debug information shares with others */
		lm_name_plain(symbol.name, lines[len - 1].name);
		return len;
	}
	memset(&lines[0], 0, sizeof(lines[0]));
	lm_name_plain(symbol.name, lines[0].name);
	*start = symbol.sym.st_value;
	return 1;
}
