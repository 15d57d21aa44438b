/* Kinds: siblings among which a configuration chooses by name (networks, processes, predictions,
 * objectives, predictors, …). Each is one file that the build finds, with keys of its own.
 *
 *     static const tw_config_field fields[] = {
 *         {NULL, "snr", TW_CONFIG_DOUBLE, offsetof(langevin, snr), "0.16", .help = "…"},
 *     };
 *     const tw_corrector tw_corrector_langevin = {
 *         .kind = {"langevin", "one Langevin step", fields, 1, sizeof(langevin)}, …};
 *
 * A sibling's type begins with its tw_kind, so that a pointer to one is a pointer to the other. Its
 * keys name no section: they belong to the section of the choice, so one configuration may hold
 * several choices of one kind ([network], [classifier]). Nothing here is collective. */
#ifndef TWEEDIE_KIND_H
#define TWEEDIE_KIND_H

#include "tweedie/config.h"
#include "tweedie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_kind {
    const char *name;
    const char *summary;           /* one line for help texts */
    const tw_config_field *fields; /* section NULL: that of the choice */
    int field_count;
    size_t config_size; /* of the struct that the fields fill; 0 where there are none */
} tw_kind;

/* A table as the build makes it: tw_NAME_kinds, tw_NAME_count. */
typedef struct tw_kinds {
    const tw_kind *const *table;
    int count;
} tw_kinds;

/* @param what  what a message calls it: "network.kind"
 * @return TW_ECONFIG with the nearest name, or all names */
tw_status tw_kind_find(const tw_kind **out, tw_kinds kinds, const char *what, const char *name);

/* The sibling of that name, or NULL. */
const tw_kind *tw_kind_named(tw_kinds kinds, const char *name);

/* "a, b, c". @param[out] out  is added to */
tw_status tw_kind_names(tw_text *out, tw_kinds kinds);

/* A choice as a configuration made it; zero-initialised before it is bound. */
typedef struct tw_choice {
    const tw_kind *kind; /* NULL after an error that the configuration has collected */
    void *config; /* owned: the struct of the kind's fields; strings are the configuration's */
} tw_choice;

/* Where a choice is made, and what is chosen where nothing is said. */
typedef struct tw_choice_rule {
    const char *section, *key;
    const char *default_name; /* NULL: must be given */
    const char *help;         /* the names are added */
    tw_kinds kinds;
    bool fixed;  /* may not change when a run is resumed */
    bool shared; /* a file may hold keys of siblings that are not chosen (the command line may not):
                    where one run serves several choices, as [sample] */
} tw_choice_rule;

/* Binds the key and the keys of the sibling that it names. Errors are collected in the
 * configuration (tw_config_finish). @param[out] out  released with tw_choice_free in any case */
tw_status tw_choice_bind(tw_choice *out, tw_config *config, const tw_choice_rule *rule);

/* Binds the keys of a sibling that was found in another way. */
tw_status tw_choice_adopt(tw_choice *out, tw_config *config, const char *section,
                          const tw_kind *kind);

/* A choice without a configuration: the kind with the values that `assignments` ("beta_min=0.1")
 * give, and defaults. For tools and tests. @return TW_ECONFIG with all that is wrong */
tw_status tw_choice_make(tw_choice *out, const tw_choice_rule *rule, const char *name, int count,
                         const char *const *assignments, tw_config **config_out);

/* "name key=value key=value", every key of the sibling in its fixed spelling: what results are
 * identified by. @param[out] out  is added to */
tw_status tw_choice_describe(tw_text *out, const tw_choice *choice);

void tw_choice_free(tw_choice *choice);

#ifdef __cplusplus
}
#endif

#endif
