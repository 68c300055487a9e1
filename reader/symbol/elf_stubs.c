/* Stubs have no symbols of their own. The n-th entry of .rela.plt is the n-th stub, of .plt.sec
 * where there is one, else of .plt behind its head. x86-64 only: other machines' stubs differ in
 * size. */
#include "reader/symbol/elf_names.h"

enum { STUB_BYTES = 16 };

static void add_stub(struct elf_names *names, const struct elf_file *file, uint64_t start,
		     const char *target)
{
	if (!target || !target[0] || !elf_file_code(file, start))
		return;
	*vec_add(&names->names) = (struct elf_name){
		.start = start,
		.size = STUB_BYTES,
		.text = arena_printf(&names->arena, "%s@plt", target),
		.rank = 1,
	};
}

void elf_names_read_stubs(struct elf_names *names, const struct elf_file *file)
{
	GElf_Shdr stubs, relocations, symbols;
	Elf_Scn *stub_section, *relocation_section, *symbol_section;
	Elf_Data *relocation_data, *symbol_data;
	uint64_t first = 0;

	if (file->machine != EM_X86_64)
		return;
	stub_section = elf_file_section(file, ".plt.sec", &stubs);
	if (!stub_section) {
		stub_section = elf_file_section(file, ".plt", &stubs);
		first = 1;
	}
	relocation_section = elf_file_section(file, ".rela.plt", &relocations);
	if (!stub_section || !relocation_section || relocations.sh_type != SHT_RELA)
		return;
	symbol_section = elf_getscn(file->elf, relocations.sh_link);
	if (!symbol_section || !gelf_getshdr(symbol_section, &symbols) ||
	    symbols.sh_type != SHT_DYNSYM)
		return;
	relocation_data = elf_getdata(relocation_section, NULL);
	symbol_data = elf_getdata(symbol_section, NULL);
	if (!relocation_data || !symbol_data)
		return;
	for (uint64_t i = 0; i <= INT32_MAX && (first + i + 1) * STUB_BYTES <= stubs.sh_size; i++) {
		GElf_Rela relocation;
		GElf_Sym symbol;

		if (!gelf_getrela(relocation_data, (int)i, &relocation))
			break;
		/* The other kind resolves a function of this file at run time. */
		if (GELF_R_TYPE(relocation.r_info) != R_X86_64_JUMP_SLOT ||
		    GELF_R_SYM(relocation.r_info) > INT32_MAX ||
		    !gelf_getsym(symbol_data, (int)GELF_R_SYM(relocation.r_info), &symbol))
			continue;
		add_stub(names, file, stubs.sh_addr + (first + i) * STUB_BYTES,
			 elf_strptr(file->elf, symbols.sh_link, symbol.st_name));
	}
}
