export NODE_NO_WARNINGS=1
node main.mjs
