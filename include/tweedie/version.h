/* Which Tweedie this is. */
#ifndef TWEEDIE_VERSION_H
#define TWEEDIE_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0 (v0.1-3-g1a2b3c4, GCC 12.2.0, Release)": the release, the commit where it was built from a
 * git clone, the compiler, the build type. Static. */
const char *tw_version(void);

#ifdef __cplusplus
}
#endif

#endif
