/* The standard streams as the rest of the program may count on them. */
#ifndef TWEEDIE_CLI_STREAMS_H
#define TWEEDIE_CLI_STREAMS_H

/* Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed: else the next file that is
 * opened would get its number, and what is said would be written into that file. First thing in
 * main. Ends the program with exit code 74 where there is no /dev/null. */
void tw_streams_open(void);

#endif
