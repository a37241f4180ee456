"""capture: takes packets from the kernel or from capture files, makes `packets`.

It hands on whole blocks as the ring or the file gave them, tells the time with ticks, and counts what it or the kernel
had to drop. It never parses payload, never talks to Kubernetes, and never captures weir's own connections. A file that
is to be read in several rings is the one case in which it looks at headers (`weir.capture.split`).
"""
