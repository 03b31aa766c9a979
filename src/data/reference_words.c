/*
 * src/data/reference_words.c
 *		How a reference is called in a finding.
 *
 * Tables, columns and constraints may have been dropped since they were
 * listed, so every name is looked up as one that may be missing.
 */
#include "postgres.h"

#include "core/relation.h"
#include "data/reference.h"
#include "data/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* The referencing columns: public.appointments.contact_id, or public.t (a, b). */
char *
voxanne_reference_object(const VoxReference *reference)
{
	char	   *child = voxanne_relation_name(reference->child);

	if (child == NULL)
		return psprintf("a dropped table, %s", voxanne_reference_discriminator(reference));
	if (reference->natts == 1 && get_attname(reference->child, reference->child_atts[0], true) != NULL)
		return voxanne_column_name(reference->child, reference->child_atts[0]);
	return psprintf("%s (%s)", child,
					voxanne_column_list(reference->child, "", voxanne_reference_columns(reference, false)));
}

/* What tells two references of the same columns apart. */
char *
voxanne_reference_discriminator(const VoxReference *reference)
{
	char	   *name = OidIsValid(reference->constraint) ? get_constraint_name(reference->constraint) :
		voxanne_relation_name(reference->parent);

	return name == NULL ? pstrdup("dropped") : name;
}

/* The end of the detail: what the catalogs say about the reference. */
char *
voxanne_reference_source_clause(const VoxReference *reference)
{
	const char *name = OidIsValid(reference->constraint) ?
		quote_identifier(get_constraint_name(reference->constraint)) : "";

	switch (reference->source)
	{
		case VOX_REFERENCE_DECLARED:
			return psprintf(", although foreign key %s claims to hold", name);
		case VOX_REFERENCE_NOT_VALID:
			return psprintf("; foreign key %s is NOT VALID", name);
		case VOX_REFERENCE_NOT_ENFORCED:
			return psprintf("; foreign key %s is NOT ENFORCED", name);
		case VOX_REFERENCE_TRIGGERS_DISABLED:
			return psprintf(", because triggers of foreign key %s are disabled", name);
		case VOX_REFERENCE_INFERRED:
			break;
	}
	return pstrdup("; no foreign key says so, but name and type do");
}
