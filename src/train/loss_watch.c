/* The running median of the loss, in a window that is kept sorted. */
#include "train/loss_watch.h"

#include <string.h>

/* The first place whose number is not below `loss`. */
static int place(const loss_watch *w, double loss)
{
    int low = 0, high = w->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (w->sorted[middle] < loss)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(loss_watch *w, double loss)
{
    if (w->count == LOSS_WATCH_WINDOW) {
        const int old = place(w, w->recent[w->next]);
        memmove(w->sorted + old, w->sorted + old + 1,
                (size_t)(w->count - old - 1) * sizeof *w->sorted);
        w->count--;
    }
    const int at = place(w, loss);
    memmove(w->sorted + at + 1, w->sorted + at, (size_t)(w->count - at) * sizeof *w->sorted);
    w->sorted[at] = loss;
    w->count++;
    w->recent[w->next] = loss;
    w->next = (w->next + 1) % LOSS_WATCH_WINDOW;
}

bool loss_watch_add(loss_watch *w, double loss, double *median)
{
    const bool ready = w->count > LOSS_WATCH_WINDOW / 2;
    *median = w->count ? w->sorted[w->count / 2] : 0;
    const bool above = ready && *median > 0 && loss > LOSS_WATCH_FACTOR * *median;
    const bool told = w->quiet > 0;
    w->quiet = above ? LOSS_WATCH_WINDOW : w->quiet > 0 ? w->quiet - 1 : 0;
    insert(w, loss);
    return above && !told;
}
