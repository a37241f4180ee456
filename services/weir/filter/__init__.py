"""filter: takes packet blocks, makes segment blocks.

It finds the headers, joins fragments, looks into tunnels, drops what is not wanted or comes twice, and sorts what is
left by conversation into shards. Any number of instances share the partitions of `weir.packets`. It never looks at
payload, and keeps no state that matters beyond a second: an instance that dies takes a few half-joined datagrams along.
"""
