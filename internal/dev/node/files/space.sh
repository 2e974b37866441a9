# The first process of the node. Arguments: the node's folder, its address, and that of the API server's Service.
# It has namespaces of its own, so all of this is gone when it ends, which it does at the end of its input.
set -eu
dir=$1 address=$2 service=$3

mount --make-rprivate /
mount --make-rshared / # among the node's own containers
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount --bind "$dir/log" /var/log

# The kubelet insists on settings of the kernel that belong to the whole machine. It is shown files that have them.
for file in "$dir"/sysctl/*; do
  mount --bind "$file" "/proc/sys/$(basename "$file" | tr . /)"
done

echo node1 >/proc/sys/kernel/hostname
ip link set lo up
ip address add "$service/32" dev lo
ip link add cni0 type bridge
ip address add "$address/16" dev cni0
ip link set cni0 up
echo 1 >/proc/sys/net/ipv4/ip_forward

echo ready
cat # and not exec: this shell is who waits for processes that lost their parents
