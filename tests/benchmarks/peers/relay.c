/* A plain UDP relay in C, for comparison: recvmmsg, a table of flows, sendmmsg, one thread.
 * It does less than ours: no token, no header, no counters, no limits, and nothing comes back.
 *
 *     relay BACKEND PORT
 *
 * prints "ready HOST:PORT" and forwards until killed. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 2048, SLOTS = 1 << 14 };

static struct { uint64_t client; struct sockaddr_in backend; } flows[SLOTS];

static uint64_t key_of(const struct sockaddr_in *address) {
    return (uint64_t)address->sin_addr.s_addr << 16 | address->sin_port;
}

/* The flow's destination; a client that is new goes to `backend`. */
static struct sockaddr_in *flow_of(uint64_t client, const struct sockaddr_in *backend) {
    uint64_t slot = client * 0x9E3779B97F4A7C15u >> 50;
    while (flows[slot].client != client) {
        if (!flows[slot].client) {
            flows[slot].client = client;
            flows[slot].backend = *backend;
            break;
        }
        slot = (slot + 1) % SLOTS;
    }
    return &flows[slot].backend;
}

static int open_socket(void) {
    int sock = socket(AF_INET, SOCK_DGRAM, 0), buffer = 4 << 20;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof address)) {
        perror("bind");
        exit(1);
    }
    return sock;
}

int main(int argc, char **argv) {
    static char buffers[BATCH][SIZE];
    static struct sockaddr_in sources[BATCH];
    static struct iovec slices[BATCH];
    static struct mmsghdr messages[BATCH];
    if (argc != 3)
        return 2;
    struct sockaddr_in backend = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &backend.sin_addr);
    int outside = open_socket(), inside = open_socket();
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    getsockname(outside, (struct sockaddr *)&bound, &length);
    printf("ready 127.0.0.1:%d\n", ntohs(bound.sin_port));
    fflush(stdout);

    for (int i = 0; i < BATCH; i++) {
        slices[i].iov_base = buffers[i];
        messages[i].msg_hdr.msg_iov = &slices[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            slices[i].iov_len = SIZE;
            messages[i].msg_hdr.msg_name = &sources[i];
            messages[i].msg_hdr.msg_namelen = sizeof sources[i];
        }
        int count = recvmmsg(outside, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0)
            continue;
        for (int i = 0; i < count; i++) {
            slices[i].iov_len = messages[i].msg_len;
            messages[i].msg_hdr.msg_name = flow_of(key_of(&sources[i]), &backend);
        }
        for (int done = 0; done < count;) {
            int sent = sendmmsg(inside, messages + done, count - done, 0);
            done += sent > 0 ? sent : 1;
        }
    }
}
