/* The process that reads the memory of others: see reader.c. */
#ifndef CELLA_READER_H
#define CELLA_READER_H

/* Answers until nobody asks any more. */
_Noreturn void reader_main(void);

#endif
