#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
/* The time is what CLOCK_FILE says: microseconds since 1970, which a test writes there. */
int gettimeofday(struct timeval *tv, void *tz){
  static long long *now=0;
  if(!now){ const char*s=getenv("CLOCK_FILE"); int f=s?open(s,O_RDONLY):-1;
    void*m=f<0?MAP_FAILED:mmap(0,sizeof *now,PROT_READ,MAP_SHARED,f,0);
    if(m==MAP_FAILED) abort();
    now=m; }
  long long us=__atomic_load_n(now,__ATOMIC_ACQUIRE); tv->tv_sec=us/1000000; tv->tv_usec=us%1000000; return 0;}
