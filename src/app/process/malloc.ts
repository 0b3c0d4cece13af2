import koffi from 'koffi';

/** What the C library does with memory that is free. */
export interface Malloc {
  /** Gives it back to the system, wherever it lies. */
  trim(): void;
}

/**
 * Bounds what glibc keeps of what was freed. By itself it puts blocks of up to 32 MiB on a heap as soon as one of that size was freed, where a
 * small one behind them keeps all; and it has eight such heaps for each processor. Other C libraries keep less, and are left as they are.
 */
export function tuneMalloc(): Malloc {
  try {
    const library = koffi.load(null);
    const mallopt = library.func('int mallopt(int, int)');
    for (const [option, value] of OPTIONS) mallopt(option, value);
    const malloc_trim = library.func('int malloc_trim(size_t)');
    return { trim: () => void malloc_trim(0) };
  } catch {
    return { trim() {} };
  }
}

/** By the numbers of malloc.h. Once one is set, they stay. */
const OPTIONS = [
  [-3, 256 * 1024], // M_MMAP_THRESHOLD: a block of that size goes back when it is freed
  [-1, 1024 * 1024], // M_TRIM_THRESHOLD: what stays free at the end of the main heap
  [-8, 2], // M_ARENA_MAX: heaps of threads
] as const;
