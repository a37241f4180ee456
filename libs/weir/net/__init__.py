"""Headers, capture files and addresses as they are written: bytes in, values out.

Nothing here opens a file or a socket; whoever reads them hands the bytes in.
"""
