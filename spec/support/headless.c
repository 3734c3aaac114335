/* A process whose first thread ends, while another one runs on. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *serve(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

int main(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, serve, NULL))
		return 1;
	syscall(SYS_exit, 0);
	return 2;
}
