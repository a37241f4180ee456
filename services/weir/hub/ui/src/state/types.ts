/** What the hub's API says of rules, targets and settings; see /api/v1/openapi.json. */
import type { NodeRate, Rule } from "../types";

export interface WholeRule extends Rule {
  target?: string;
  namespaces?: string[];
  exclude_namespaces?: string[];
  pod?: string;
  labels?: string;
  workload?: string;
  node?: string;
  service?: string;
  port?: number;
  exclude?: boolean;
}

export interface RuleState {
  rule: WholeRule;
  pods?: number;
  nodes?: number;
  names?: string[];
  warnings?: string[];
  expires_in_s?: number | null;
}

export interface PodRate {
  pod: string;
  node?: string;
  workload?: string;
  targeted?: boolean;
  mb_per_s?: number;
}

export interface Rate extends NodeRate {
  ceiling_mb_per_s?: number;
  above?: boolean;
}

export interface Targets {
  says: string;
  targets?: string[];
  pods?: number;
  listed?: PodRate[];
  nodes?: Rate[];
}

export interface Setting {
  name: string;
  value: string;
  default: string;
  doc: string;
  source: string;
}
