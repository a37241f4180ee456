"""What the kernel filters before it hands packets over: classic BPF from the targets in force.

`expression` says in libpcap's words what is wanted, `libpcap` compiles it, `program` moves it onto network headers.
The filter here may let too much through, never too little: `filter` selects exactly.
"""
