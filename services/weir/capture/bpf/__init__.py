"""What the kernel filters before it hands packets over.

`choose` takes eBPF where the kernel allows it: a program (`kernel/weir.bpf.c`, read by `elf`, loaded by `syscall`)
whose `maps` follow targets and endpoints (`selection`, in the `layout` of the program), whose table of flows becomes
`tallies`, and which keeps a node below its `ceiling`; `extended` puts that together. Else classic BPF from the static
targets: `expression` says in libpcap's words what is wanted, `libpcap` compiles it, `program` moves it onto network
headers. The filter here may let too much through, never too little: `filter` selects exactly.
"""
