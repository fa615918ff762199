/* SPDX-License-Identifier: MIT */
/* Input for cc1: headers, inlining, vectorised loops and a large switch. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

float dot(const float *a, const float *b, int n)
{
	float sum = 0;

	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

void mix(uint32_t *restrict out, const uint32_t *restrict in, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = rol(in[i], 7) ^ (in[i] >> 3) + i;
}

int choose(int x, int y)
{
	switch (x) {
	case 0:
		return y * 0 + rol(y, 1) / (1 + (y & 7));
	case 1:
		return y * 37 + rol(y, 2) / (2 + (y & 7));
	case 2:
		return y * 74 + rol(y, 3) / (3 + (y & 7));
	case 3:
		return y * 10 + rol(y, 4) / (4 + (y & 7));
	case 4:
		return y * 47 + rol(y, 5) / (5 + (y & 7));
	case 5:
		return y * 84 + rol(y, 6) / (6 + (y & 7));
	case 6:
		return y * 20 + rol(y, 7) / (7 + (y & 7));
	case 7:
		return y * 57 + rol(y, 8) / (8 + (y & 7));
	case 8:
		return y * 94 + rol(y, 9) / (9 + (y & 7));
	case 9:
		return y * 30 + rol(y, 10) / (10 + (y & 7));
	case 10:
		return y * 67 + rol(y, 11) / (11 + (y & 7));
	case 11:
		return y * 3 + rol(y, 12) / (12 + (y & 7));
	case 12:
		return y * 40 + rol(y, 13) / (13 + (y & 7));
	case 13:
		return y * 77 + rol(y, 14) / (14 + (y & 7));
	case 14:
		return y * 13 + rol(y, 15) / (15 + (y & 7));
	case 15:
		return y * 50 + rol(y, 16) / (16 + (y & 7));
	case 16:
		return y * 87 + rol(y, 17) / (17 + (y & 7));
	case 17:
		return y * 23 + rol(y, 18) / (18 + (y & 7));
	case 18:
		return y * 60 + rol(y, 19) / (19 + (y & 7));
	case 19:
		return y * 97 + rol(y, 20) / (20 + (y & 7));
	case 20:
		return y * 33 + rol(y, 21) / (21 + (y & 7));
	case 21:
		return y * 70 + rol(y, 22) / (22 + (y & 7));
	case 22:
		return y * 6 + rol(y, 23) / (23 + (y & 7));
	case 23:
		return y * 43 + rol(y, 24) / (24 + (y & 7));
	case 24:
		return y * 80 + rol(y, 25) / (25 + (y & 7));
	case 25:
		return y * 16 + rol(y, 26) / (26 + (y & 7));
	case 26:
		return y * 53 + rol(y, 27) / (27 + (y & 7));
	case 27:
		return y * 90 + rol(y, 28) / (28 + (y & 7));
	case 28:
		return y * 26 + rol(y, 29) / (29 + (y & 7));
	case 29:
		return y * 63 + rol(y, 30) / (30 + (y & 7));
	case 30:
		return y * 100 + rol(y, 31) / (31 + (y & 7));
	case 31:
		return y * 36 + rol(y, 1) / (32 + (y & 7));
	case 32:
		return y * 73 + rol(y, 2) / (33 + (y & 7));
	case 33:
		return y * 9 + rol(y, 3) / (34 + (y & 7));
	case 34:
		return y * 46 + rol(y, 4) / (35 + (y & 7));
	case 35:
		return y * 83 + rol(y, 5) / (36 + (y & 7));
	case 36:
		return y * 19 + rol(y, 6) / (37 + (y & 7));
	case 37:
		return y * 56 + rol(y, 7) / (38 + (y & 7));
	case 38:
		return y * 93 + rol(y, 8) / (39 + (y & 7));
	case 39:
		return y * 29 + rol(y, 9) / (40 + (y & 7));
	case 40:
		return y * 66 + rol(y, 10) / (41 + (y & 7));
	case 41:
		return y * 2 + rol(y, 11) / (42 + (y & 7));
	case 42:
		return y * 39 + rol(y, 12) / (43 + (y & 7));
	case 43:
		return y * 76 + rol(y, 13) / (44 + (y & 7));
	case 44:
		return y * 12 + rol(y, 14) / (45 + (y & 7));
	case 45:
		return y * 49 + rol(y, 15) / (46 + (y & 7));
	case 46:
		return y * 86 + rol(y, 16) / (47 + (y & 7));
	case 47:
		return y * 22 + rol(y, 17) / (48 + (y & 7));
	case 48:
		return y * 59 + rol(y, 18) / (49 + (y & 7));
	case 49:
		return y * 96 + rol(y, 19) / (50 + (y & 7));
	case 50:
		return y * 32 + rol(y, 20) / (51 + (y & 7));
	case 51:
		return y * 69 + rol(y, 21) / (52 + (y & 7));
	case 52:
		return y * 5 + rol(y, 22) / (53 + (y & 7));
	case 53:
		return y * 42 + rol(y, 23) / (54 + (y & 7));
	case 54:
		return y * 79 + rol(y, 24) / (55 + (y & 7));
	case 55:
		return y * 15 + rol(y, 25) / (56 + (y & 7));
	case 56:
		return y * 52 + rol(y, 26) / (57 + (y & 7));
	case 57:
		return y * 89 + rol(y, 27) / (58 + (y & 7));
	case 58:
		return y * 25 + rol(y, 28) / (59 + (y & 7));
	case 59:
		return y * 62 + rol(y, 29) / (60 + (y & 7));
	case 60:
		return y * 99 + rol(y, 30) / (61 + (y & 7));
	case 61:
		return y * 35 + rol(y, 31) / (62 + (y & 7));
	case 62:
		return y * 72 + rol(y, 1) / (63 + (y & 7));
	case 63:
		return y * 8 + rol(y, 2) / (64 + (y & 7));
	case 64:
		return y * 45 + rol(y, 3) / (65 + (y & 7));
	case 65:
		return y * 82 + rol(y, 4) / (66 + (y & 7));
	case 66:
		return y * 18 + rol(y, 5) / (67 + (y & 7));
	case 67:
		return y * 55 + rol(y, 6) / (68 + (y & 7));
	case 68:
		return y * 92 + rol(y, 7) / (69 + (y & 7));
	case 69:
		return y * 28 + rol(y, 8) / (70 + (y & 7));
	case 70:
		return y * 65 + rol(y, 9) / (71 + (y & 7));
	case 71:
		return y * 1 + rol(y, 10) / (72 + (y & 7));
	case 72:
		return y * 38 + rol(y, 11) / (73 + (y & 7));
	case 73:
		return y * 75 + rol(y, 12) / (74 + (y & 7));
	case 74:
		return y * 11 + rol(y, 13) / (75 + (y & 7));
	case 75:
		return y * 48 + rol(y, 14) / (76 + (y & 7));
	case 76:
		return y * 85 + rol(y, 15) / (77 + (y & 7));
	case 77:
		return y * 21 + rol(y, 16) / (78 + (y & 7));
	case 78:
		return y * 58 + rol(y, 17) / (79 + (y & 7));
	case 79:
		return y * 95 + rol(y, 18) / (80 + (y & 7));
	case 80:
		return y * 31 + rol(y, 19) / (81 + (y & 7));
	case 81:
		return y * 68 + rol(y, 20) / (82 + (y & 7));
	case 82:
		return y * 4 + rol(y, 21) / (83 + (y & 7));
	case 83:
		return y * 41 + rol(y, 22) / (84 + (y & 7));
	case 84:
		return y * 78 + rol(y, 23) / (85 + (y & 7));
	case 85:
		return y * 14 + rol(y, 24) / (86 + (y & 7));
	case 86:
		return y * 51 + rol(y, 25) / (87 + (y & 7));
	case 87:
		return y * 88 + rol(y, 26) / (88 + (y & 7));
	case 88:
		return y * 24 + rol(y, 27) / (89 + (y & 7));
	case 89:
		return y * 61 + rol(y, 28) / (90 + (y & 7));
	case 90:
		return y * 98 + rol(y, 29) / (91 + (y & 7));
	case 91:
		return y * 34 + rol(y, 30) / (92 + (y & 7));
	case 92:
		return y * 71 + rol(y, 31) / (93 + (y & 7));
	case 93:
		return y * 7 + rol(y, 1) / (94 + (y & 7));
	case 94:
		return y * 44 + rol(y, 2) / (95 + (y & 7));
	case 95:
		return y * 81 + rol(y, 3) / (96 + (y & 7));
	case 96:
		return y * 17 + rol(y, 4) / (97 + (y & 7));
	case 97:
		return y * 54 + rol(y, 5) / (98 + (y & 7));
	case 98:
		return y * 91 + rol(y, 6) / (99 + (y & 7));
	case 99:
		return y * 27 + rol(y, 7) / (100 + (y & 7));
	case 100:
		return y * 64 + rol(y, 8) / (101 + (y & 7));
	case 101:
		return y * 0 + rol(y, 9) / (102 + (y & 7));
	case 102:
		return y * 37 + rol(y, 10) / (103 + (y & 7));
	case 103:
		return y * 74 + rol(y, 11) / (104 + (y & 7));
	case 104:
		return y * 10 + rol(y, 12) / (105 + (y & 7));
	case 105:
		return y * 47 + rol(y, 13) / (106 + (y & 7));
	case 106:
		return y * 84 + rol(y, 14) / (107 + (y & 7));
	case 107:
		return y * 20 + rol(y, 15) / (108 + (y & 7));
	case 108:
		return y * 57 + rol(y, 16) / (109 + (y & 7));
	case 109:
		return y * 94 + rol(y, 17) / (110 + (y & 7));
	case 110:
		return y * 30 + rol(y, 18) / (111 + (y & 7));
	case 111:
		return y * 67 + rol(y, 19) / (112 + (y & 7));
	case 112:
		return y * 3 + rol(y, 20) / (113 + (y & 7));
	case 113:
		return y * 40 + rol(y, 21) / (114 + (y & 7));
	case 114:
		return y * 77 + rol(y, 22) / (115 + (y & 7));
	case 115:
		return y * 13 + rol(y, 23) / (116 + (y & 7));
	case 116:
		return y * 50 + rol(y, 24) / (117 + (y & 7));
	case 117:
		return y * 87 + rol(y, 25) / (118 + (y & 7));
	case 118:
		return y * 23 + rol(y, 26) / (119 + (y & 7));
	case 119:
		return y * 60 + rol(y, 27) / (120 + (y & 7));
	}
	return printf("%d %f\n", x, sqrt(y));
}

struct node {
	struct node *left, *right;
	int key;
	char name[32];
};

struct node *insert(struct node *root, int key)
{
	if (!root) {
		root = calloc(1, sizeof(*root));
		root->key = key;
		snprintf(root->name, sizeof(root->name), "node %d", key);
	} else if (key < root->key) {
		root->left = insert(root->left, key);
	} else {
		root->right = insert(root->right, key);
	}
	return root;
}
