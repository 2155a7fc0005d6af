/* The load of the echo workloads, the same for every server: plain epoll, in a process of its own.
 *
 *   echo_client PORT CONNECTIONS REQUESTS
 *
 * Each connection has one request of 64 bytes under way. On the connection made first, a byte tells
 * the server that the load begins (after one request on each connection), and another one that all
 * requests have been answered; the server answers each with a byte once it has read its clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 64, BATCH = 256 };

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static int dial(int port) {
  static const int on = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  must(fd >= 0, "socket");
  must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void ask(int fd) {
  static const char request[SIZE] = "hello";
  must(send(fd, request, SIZE, MSG_NOSIGNAL) == SIZE, "send");
}

static void answered(int fd) {
  char buf[SIZE];
  must(recv(fd, buf, SIZE, MSG_WAITALL) == SIZE, "recv");
}

static void tell(int fd) {
  char c = 1;
  must(send(fd, &c, 1, MSG_NOSIGNAL) == 1 && recv(fd, &c, 1, 0) == 1, "tell");
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int port = atoi(argv[1]), n = atoi(argv[2]), ep = epoll_create1(0);
  long left = atol(argv[3]), asked = 0, requests = left;
  struct rlimit most;
  if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
  }
  int *fds = calloc((size_t)n, sizeof *fds), control = dial(port);
  must(fds && ep >= 0, "epoll_create1");
  for (int i = 0; i < n; i++) fds[i] = dial(port); /* all first: a server may accept them all before it serves any */
  for (int i = 0; i < n; i++) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
    ask(fds[i]);
    answered(fds[i]);
    must(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e) == 0, "epoll_ctl");
  }
  tell(control);
  for (int i = 0; i < n && asked < requests; i++, asked++) ask(fds[i]);
  while (left > 0) {
    struct epoll_event e[BATCH];
    int k = epoll_wait(ep, e, BATCH, -1);
    must(k > 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < k; i++) {
      answered(e[i].data.fd);
      left--;
      if (asked++ < requests) ask(e[i].data.fd);
    }
  }
  tell(control);
  return 0;
}
